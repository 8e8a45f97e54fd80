"""The JSON Schema that editors read: the authored form, with `extends` and `matrix`, described by the docstrings."""

import json
import re
from typing import Any

from engine.experiment import Experiment
from engine.spec.ref import PATTERN, is_ref
from engine.spec.schema import json_schema

SCHEMA = json_schema(Experiment)


def references(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        own = {schema["$ref"]} if isinstance(schema.get("$ref"), str) else set()
        return own.union(*map(references, schema.values()))
    return set().union(*map(references, schema)) if isinstance(schema, list) else set()


def test_it_is_json_and_every_reference_leads_somewhere() -> None:
    again = json.loads(json.dumps(SCHEMA, allow_nan=False))
    assert again["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert {ref.removeprefix("#/$defs/") for ref in references(again)} <= again["$defs"].keys()


def test_a_whole_spec_has_its_required_keys_and_a_fragment_none() -> None:
    whole, fragment = SCHEMA["else"], SCHEMA["then"]
    assert SCHEMA["if"] == {"required": ["extends"]}
    assert {"format", "experiment", "stages"} <= set(whole["required"])
    assert "extends" not in whole["properties"]
    assert "extends" in fragment["properties"]
    assert "required" not in json.dumps(fragment)
    assert not [name for name, part in SCHEMA["$defs"].items() if name.endswith(".part") and "required" in part]


def test_only_a_stage_may_have_a_matrix() -> None:
    with_matrix = {name for name, definition in SCHEMA["$defs"].items() if "matrix" in definition.get("properties", {})}
    assert {"Train.cells", "Pack.cells", "Ingest.cells"} <= with_matrix
    assert all(name.endswith(".cells") for name in with_matrix)
    stages = SCHEMA["else"]["properties"]["stages"]["additionalProperties"]
    assert stages["if"] == {"required": ["matrix"]}
    assert {ref.removeprefix("#/$defs/") for ref in references(stages["then"])} == with_matrix


def test_keys_unknown_to_a_class_are_refused_and_docstrings_describe() -> None:
    train = SCHEMA["$defs"]["Train"]
    assert train["additionalProperties"] is False
    assert train["description"].startswith("The training loop.")
    assert SCHEMA["$defs"]["Llama"]["properties"]["tied"]["description"].startswith("Whether input and output")
    assert SCHEMA["$defs"]["Claim"]["properties"]["class"]["enum"] == ["paper", "invariant", "lore"]


def test_a_reference_has_a_pattern() -> None:
    assert SCHEMA["$defs"]["Train"]["properties"]["rows"]["pattern"] == PATTERN
    for text in ("rows@rows", "rows[seed=1]@rows", "t[*]@*", "rows", "Rows@rows", "a[]@b"):
        assert (re.search(PATTERN, text) is not None) == is_ref(text)
