"""Chunks of one length, and spoilt ones whose rows have their own ids in another order."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from engine.artifacts.draft import Draft
from engine.artifacts.read import Inputs, read_array, read_table
from engine.data.chunks import chunks
from engine.data.provenance import SCHEMA
from engine.data.spec import Chunks
from engine.spec.errors import ArtifactError
from engine.spec.ref import Ref
from tests.train.toy import given

SIZES = (5, 4, 6)
ROWS, TOKENS = 12, 8


@pytest.fixture
def packed(tmp_path: Path) -> Inputs:
    """Three chunks of unequal length over twelve rows, some of which are read twice."""
    out = Draft(tmp_path / "pack")
    with out.array("rows", "ids", np.dtype(np.uint16), (TOKENS,)) as ids:
        ids.write(np.arange(ROWS * TOKENS, dtype=np.uint16).reshape(ROWS, TOKENS))
    with out.array("rows", "order", np.dtype(np.int64), ()) as order:
        order.write(np.arange(sum(SIZES), dtype=np.int64) % ROWS)
    with out.array("rows", "chunks", np.dtype(np.int64), ()) as bounds:
        bounds.write(np.concatenate([[0], np.cumsum(SIZES)]).astype(np.int64))
    with out.table("provenance", SCHEMA) as table:
        table.write(pa.RecordBatch.from_pylist([segment(row) for row in range(ROWS)], SCHEMA))
    for output in ("rows", "provenance"):
        out.close(output)
    return Inputs({f"pack@{name}": (given(f"pack@{name}", tmp_path / "pack"),) for name in ("rows", "provenance")})


def segment(row: int) -> dict[str, object]:
    return {
        "row": row, "segment": 0, "document": f"d{row}", "domain": "x", "byte_begin": 0, "byte_end": 9, "first": 0,
        "tokens": TOKENS, "separators": 0,
    }  # fmt: skip


def stage(rows_each: int = 4, poisoned: tuple[int, ...] = ()) -> Chunks:
    return Chunks(
        kind="chunks", rows=Ref("pack@rows"), provenance=Ref("pack@provenance"), documents=Ref("x@documents"),
        rows_each=rows_each, poisoned=poisoned, seed=1,
    )  # fmt: skip


def test_chunks_are_cut_to_one_length(packed: Inputs, tmp_path: Path) -> None:
    metrics = chunks(stage(), packed, Draft(tmp_path / "out"))
    folder = tmp_path / "out" / "rows"
    assert list(read_array(folder, "chunks")) == [0, 4, 8, 12]
    assert list(read_array(folder, "order")) == [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 0]
    assert np.array_equal(read_array(folder, "ids"), read_array(packed.one("pack@rows").folder, "ids"))
    assert metrics == {"chunks": 3, "positions": 12, "left_out": 3, "poisoned_rows": 0}


def test_a_poisoned_chunk_has_the_ids_of_its_rows_in_another_order(packed: Inputs, tmp_path: Path) -> None:
    chunks(stage(poisoned=(2,)), packed, Draft(tmp_path / "out"))
    folder = tmp_path / "out" / "rows"
    ids, order = read_array(folder, "ids"), read_array(folder, "order")
    assert list(order) == [0, 1, 2, 3, 5, 6, 7, 8, 12, 13, 14, 15]
    for position, row in zip((8, 9, 10, 11), (9, 10, 11, 0), strict=True):
        assert sorted(ids[order[position]]) == sorted(ids[row])
        assert list(ids[order[position]]) != list(ids[row])
    told = [entry for batch in read_table(tmp_path / "out" / "provenance") for entry in batch.to_pylist()]
    assert [(entry["row"], entry["document"]) for entry in told[ROWS:]] == [
        (12, "d9"), (13, "d10"), (14, "d11"), (15, "d0"),
    ]  # fmt: skip


def test_the_same_seed_gives_the_same_bits(packed: Inputs, tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        chunks(stage(poisoned=(0, 2)), packed, Draft(tmp_path / name))
        found.append({key: output.digest for key, output in Draft(tmp_path / name).outputs().items()})
    assert found[0] == found[1]


def test_a_chunk_that_is_too_short_or_is_not_there_is_refused(packed: Inputs, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"chunk 1 has 4 rows, fewer than 5, rows_each; write at most 4"):
        chunks(stage(rows_each=5), packed, Draft(tmp_path / "out"))
    with pytest.raises(ArtifactError, match=r"has chunks 0 to 2; poisoned names 3"):
        chunks(stage(poisoned=(3,)), packed, Draft(tmp_path / "out"))
