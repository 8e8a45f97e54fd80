"""A stage finds its inputs by the references that its fields hold."""

from pathlib import Path

import pytest

from engine.artifacts.read import Input, Inputs
from engine.artifacts.store import Store
from tests.artifacts.small import RUN, build


def test_inputs_by_reference_and_by_run(store: Store) -> None:
    manifest = build(store)

    def of(ref: str, output: str) -> Input:
        return Input(ref, RUN, output, Path(), manifest.outputs[output].digest, manifest)

    rows, model, documents = of("rows@rows", "rows"), of("rows@model", "model"), of("rows@*", "documents")
    inputs = Inputs({"rows@rows": (rows,), "rows@model": (model,), "rows@*": (model, documents)})
    assert inputs.one("rows@rows") is rows
    assert inputs.all("rows@*") == (model, documents)
    assert inputs.refs() == ("rows@rows", "rows@model", "rows@*")
    assert inputs.by_run() == {RUN: ("rows", "model", "documents")}
    with pytest.raises(ValueError, match="too many values"):
        inputs.one("rows@*")
