"""`schema` prints a JSON Schema that takes specs that compile, and refuses what compile refuses for its structure."""

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.cli.conftest import call
from tests.conftest import TOY


def test_the_schema_takes_a_spec_that_compiles_and_refuses_others(tmp_path: Path, built_once: Path) -> None:
    schema = call(tmp_path, "schema").json
    for path in (TOY / "specs" / "toy" / "toy.yaml", built_once / "specs" / "toy" / "cells.yaml"):
        spec = YAML(typ="safe", pure=True).load(path)
        assert fits(spec, schema, schema)
    for wrong in ({"seed": "1"}, {"sead": 1}, {"kind": "nosuch"}, {"documents": "Rows"}, {"heldout": 2}):
        split = {**spec["stages"]["split"], **wrong}
        assert not fits({**spec, "stages": {"split": split}}, schema, schema), wrong


TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def _is(value: Any, name: str) -> bool:
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def fits(value: Any, schema: Any, root: Any) -> bool:
    """Whether a value fits a JSON Schema, as far as its structure, choices, patterns and bounds go."""
    return schema is True or all(_fits(value, key, schema, root) for key in schema)


def _fits(value: Any, key: str, schema: Any, root: Any) -> bool:
    rule = schema[key]
    match key:
        case "$ref":
            return fits(value, root["$defs"][rule.removeprefix("#/$defs/")], root)
        case "oneOf" | "anyOf":
            count = sum(fits(value, choice, root) for choice in rule)
            return count == 1 if key == "oneOf" else count > 0
        case "if":
            return fits(value, schema["then" if fits(value, rule, root) else "else"], root)
        case "type":
            return any(_is(value, name) for name in ([rule] if isinstance(rule, str) else rule))
        case "const" | "enum":
            return value in (rule if key == "enum" else [rule])
    match value:
        case dict():
            return _fits_object(value, key, schema, root)
        case list():
            return key != "items" or all(fits(item, rule, root) for item in value)
        case str():
            return key != "pattern" or re.search(rule, value) is not None
        case int() | float():
            bounds = {"minimum": value.__ge__, "maximum": value.__le__, "exclusiveMinimum": value.__gt__}
            bounds["exclusiveMaximum"] = value.__lt__
            return key not in bounds or bool(bounds[key](type(value)(rule)))
    return True


def _fits_object(value: dict[str, Any], key: str, schema: Any, root: Any) -> bool:
    rule, named = schema[key], schema.get("properties", {})
    match key:
        case "required":
            return set(rule) <= value.keys()
        case "properties":
            return all(fits(value[name], rule[name], root) for name in rule.keys() & value.keys())
        case "additionalProperties":
            others = [item for name, item in value.items() if name not in named]
            return not others if rule is False else all(fits(item, rule, root) for item in others)
    return True
