"""Chunks of equal length, and spoilt ones: the ids of their rows in a random order, a fault that a spec declares."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import JsonValue

from engine.artifacts.draft import Draft
from engine.artifacts.read import Inputs, read_array, read_table
from engine.data.provenance import SCHEMA
from engine.data.spec import Chunks
from engine.spec.errors import ArtifactError
from engine.spec.philox import generator

Ids = npt.NDArray[Any]
Positions = npt.NDArray[np.int64]
BLOCK = 1 << 14  # rows copied at a time


def chunks(stage: Chunks, inputs: Inputs, out: Draft) -> dict[str, JsonValue]:
    """Writes and closes `rows` and `provenance`. ArtifactError when a chunk is too short, or there is none."""
    rows, provenance = inputs.one(stage.rows), inputs.one(stage.provenance)
    ids, order, bounds = (read_array(rows.folder, name) for name in ("ids", "order", "chunks"))
    count = len(bounds) - 1
    _refuse(stage, rows.run, np.diff(bounds))
    dealt = np.stack([np.asarray(order[begin : begin + stage.rows_each]) for begin in bounds[:-1]])
    spoilt = np.concatenate([dealt[chunk] for chunk in stage.poisoned]) if stage.poisoned else np.zeros(0, np.int64)
    for number, chunk in enumerate(stage.poisoned):
        dealt[chunk] = len(ids) + number * stage.rows_each + np.arange(stage.rows_each)
    with out.array("rows", "ids", ids.dtype, ids.shape[1:]) as array:
        for begin in range(0, len(ids), BLOCK):
            array.write(np.asarray(ids[begin : begin + BLOCK]))
        for number, row in enumerate(spoilt):
            array.write(_shuffled(np.asarray(ids[row]), stage.seed, number)[None])
    for name, values in (("order", dealt.reshape(-1)), ("chunks", np.arange(count + 1) * stage.rows_each)):
        with out.array("rows", name, np.dtype(np.int64), ()) as array:
            array.write(values.astype(np.int64))
    with out.table("provenance", SCHEMA) as table:
        wanted = set(spoilt.tolist())
        kept: dict[int, list[dict[str, Any]]] = {row: [] for row in wanted}
        for batch in read_table(provenance.folder):
            table.write(batch)
            for segment in _of_rows(batch, wanted):
                kept[segment["row"]].append(segment)
        again = [
            {**segment, "row": len(ids) + number} for number, row in enumerate(spoilt.tolist()) for segment in kept[row]
        ]
        if again:
            table.write(pa.RecordBatch.from_pylist(again, SCHEMA))
    for output in ("rows", "provenance"):
        out.close(output)
    left = int(bounds[-1]) - count * stage.rows_each
    return {"chunks": count, "positions": count * stage.rows_each, "left_out": left, "poisoned_rows": len(spoilt)}


def _refuse(stage: Chunks, name: str, sizes: Positions) -> None:
    short = np.flatnonzero(sizes < stage.rows_each)
    if len(short):
        raise ArtifactError(
            f"{name}: chunk {int(short[0])} has {int(sizes[short[0]]):,} rows, fewer than {stage.rows_each:,}, "
            f"rows_each; write at most {int(sizes.min()):,}, or pack more documents"
        )
    none = [chunk for chunk in stage.poisoned if chunk >= len(sizes)]
    if none:
        raise ArtifactError(f"{name} has chunks 0 to {len(sizes) - 1}; poisoned names {none[0]}")


def _shuffled(row: Ids, seed: int, number: int) -> Ids:
    """The ids of a row in an order drawn for it."""
    found: Ids = row[generator(seed, "data", "poison", f"row-{number}").permutation(len(row))]
    return found


def _of_rows(batch: pa.RecordBatch, wanted: set[int]) -> Iterator[dict[str, Any]]:
    """The segments of some rows."""
    numbers = batch.column("row").to_numpy()
    places = np.flatnonzero(np.isin(numbers, list(wanted)))
    yield from batch.take(pa.array(places)).to_pylist()
