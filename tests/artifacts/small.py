"""A small artifact with every kind of output, for the tests of this room."""

import numpy as np
import pyarrow as pa

from engine.artifacts.draft import Draft
from engine.artifacts.manifest import Manifest, content_digest
from engine.artifacts.store import Store

RUN = "toy/rows"
RECIPE = "a" * 64
OTHER_RECIPE = "b" * 64
SCHEMA = pa.schema([pa.field("text", pa.string(), nullable=False), pa.field("number", pa.int32())])


def write_outputs(draft: Draft, value: int = 1) -> None:
    """A table, two arrays, tensors and a JSON file; `value` makes their content another."""
    with draft.table("documents", SCHEMA) as table:
        table.write(pa.record_batch([["one", "two", ""], [value, None, 3]], schema=SCHEMA))
    draft.close("documents")
    with draft.array("rows", "ids", np.dtype("uint16"), (4,)) as array:
        array.write(np.arange(12, dtype="uint16").reshape(3, 4) + value)
    with draft.array("rows", "order", np.dtype("int64"), ()) as array:
        array.write(np.array([2, 0, 1]))
    draft.close("rows")
    draft.tensors("model", "weights", {"b": np.full((2, 3), value, "float32"), "a": np.zeros((), "float64")})
    draft.json("model", "state.json", {"step": value})
    draft.close("model")


def manifest_of(draft: Draft, run: str = RUN, recipe: str = RECIPE) -> Manifest:
    """The manifest that a runner would write for what the draft holds."""
    outputs = draft.outputs()
    return Manifest(
        format=1,
        run=run,
        recipe=recipe,
        code="c" * 64,
        content=content_digest(outputs, {"loss": 0.1}),
        stage={"kind": "toy", "rate": 1.0},
        inputs={},
        outputs=outputs,
        metrics={"loss": 0.1},
    )


def build(store: Store, run: str = RUN, recipe: str = RECIPE, value: int = 1) -> Manifest:
    """Builds the small artifact from nothing."""
    with store.begin(run, recipe, keep=False) as draft:
        write_outputs(draft, value)
        manifest = manifest_of(draft, run, recipe)
        store.commit(draft, manifest)
    return manifest


def build_file(store: Store, run: str = RUN, recipe: str = RECIPE, value: int = 1) -> Manifest:
    """Builds the least artifact there is: one JSON file."""
    with store.begin(run, recipe, keep=False) as draft:
        draft.json("state", "state.json", {"value": value})
        draft.close("state")
        manifest = manifest_of(draft, run, recipe)
        store.commit(draft, manifest)
    return manifest
