"""JSON Schema (draft 2020-12) of specs as they are authored, for editors: `extends` and `matrix` included.

A file that extends another, and a stage with a matrix, may leave out what the base or the matrix sets. They are checked
against a second copy of every definition, `X.part`, in which nothing is required.
"""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from engine.spec.base import NEUTRAL, Spec
from engine.spec.compose import EXTENDS
from engine.spec.matrix import MATRIX, STAGES

PART = ".part"

_EXTENDS = {
    "type": "string",
    "pattern": r"^[^/\\][^\\]*$",
    "description": "One parent, relative to this file. Mappings merge; lists, scalars and other kinds replace.",
}
_SCALAR = {"type": ["string", "number", "boolean", "null"]}
_MATRIX = {
    "type": "object",
    "description": "Axes: the dotted path of a field of the stage and its values. One cell for every combination.",
    "minProperties": 1,
    "additionalProperties": {"type": "array", "minItems": 1, "uniqueItems": True, "items": _SCALAR},
}


def json_schema(model: type[Spec]) -> dict[str, Any]:
    """The schema of a spec file whose merged and expanded content is a `model`."""
    whole = model.model_json_schema(by_alias=True)
    definitions: dict[str, Any] = _without_neutral(whole.pop("$defs", {}))
    whole = _without_neutral({"": whole})[""]
    parts = {f"{name}{PART}": _part(definition) for name, definition in definitions.items()}
    part = _part(whole)
    part["properties"] = {EXTENDS: _EXTENDS} | part["properties"]
    stage = whole["properties"].get(STAGES, {}).get("additionalProperties")
    if stage is not None:
        cells = _with_matrix(part["properties"][STAGES]["additionalProperties"], parts)
        part["properties"][STAGES]["additionalProperties"] = cells
        strict = {"if": {"required": [MATRIX]}, "then": cells, "else": stage}
        whole["properties"][STAGES]["additionalProperties"] = strict
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "title": whole.get("title", model.__name__),
        "description": whole.get("description", ""),
        "if": {"required": [EXTENDS]},
        "then": part,
        "else": whole,
        "$defs": definitions | parts,
    }


def _part(schema: Any) -> Any:
    """The schema of a fragment: nothing is required, so a union is told by no tag, and references go to fragments."""
    match schema:
        case {"$ref": str(ref)}:
            return {**schema, "$ref": f"{ref}{PART}"}
        case {"oneOf": list(members), **rest}:
            kept = {key: value for key, value in rest.items() if key != "discriminator"}
            return kept | {"anyOf": [_part(member) for member in members]}
        case {"type": "array"}:  # a list replaces that of the base, so it is whole
            return schema
        case dict():
            dropped = ("required", "minProperties") if schema.get("type") == "object" else ()
            return {key: _part(value) for key, value in schema.items() if key not in dropped}
        case list():
            return [_part(item) for item in schema]
        case _:
            return schema


def _with_matrix(stage: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    """The union of stages as fragments that may have a matrix; their definitions are copied, for only stages may."""
    members = []
    for member in stage.get("anyOf", [stage]):
        name = member["$ref"].removeprefix("#/$defs/")
        copy = f"{name.removesuffix(PART)}.cells"
        parts[copy] = parts[name] | {"properties": parts[name]["properties"] | {MATRIX: _MATRIX}}
        members.append({"$ref": f"#/$defs/{copy}"})
    return {"anyOf": members}


def _without_neutral(definitions: dict[str, Any]) -> dict[str, Any]:
    """The definitions without the mark of later fields, which says nothing to an editor."""
    cleaned = {}
    for name, definition in definitions.items():
        properties = definition.get("properties", {})
        shown = {key: {k: v for k, v in p.items() if k != NEUTRAL} for key, p in properties.items()}
        cleaned[name] = definition | ({"properties": shown} if properties else {})
    return cleaned
