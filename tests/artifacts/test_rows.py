"""The digest of a table: as documented byte by byte, and blind to batches, row groups, files and null storage."""

import hashlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.artifacts.draft import Draft
from engine.artifacts.manifest import TablePart
from engine.artifacts.read import read_table
from engine.artifacts.rows import TableHasher, row_bytes
from engine.spec.canonical import canonical

TYPES = {
    "string": pa.string(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "binary": pa.binary(),
    "list<int32>": pa.list_(pa.int32()),
}
SCHEMA = pa.schema(list(TYPES.items()))
I32 = st.integers(-(2**31), 2**31 - 1)
VALUES = {
    "string": st.text(st.characters(exclude_categories=("Cs",)), max_size=5),
    "int32": I32,
    "int64": st.integers(-(2**63), 2**63 - 1),
    "float64": st.floats(),
    "bool": st.booleans(),
    "binary": st.binary(max_size=5),
    "list<int32>": st.lists(I32, max_size=3),
}
ROW = st.fixed_dictionaries({name: st.none() | value for name, value in VALUES.items()})


def told(row: dict[str, Any]) -> bytes:
    """The bytes of a row as the documentation tells them, written out by hand."""
    fixed = variable = b""
    for name in TYPES:
        value = row[name]
        fixed += b"\0" if value is None else b"\1"
        match name:
            case "int32" | "int64" | "float64" | "bool":
                code = {"int32": "<i", "int64": "<q", "float64": "<d", "bool": "<?"}[name]
                fixed += struct.pack(code, 0 if value is None else value)
            case _:
                piece = {"string": lambda v: v.encode(), "binary": bytes}.get(
                    name, lambda v: struct.pack(f"<{len(v)}i", *v)
                )
                data = b"" if value is None else piece(value)
                fixed += struct.pack("<Q", len(data))
                variable += data
    return fixed + variable


def part_of(batches: list[pa.RecordBatch], schema: pa.Schema = SCHEMA) -> TablePart:
    hasher = TableHasher(schema)
    for batch in batches:
        hasher.update(row_bytes(batch))
    return hasher.part()


@given(st.lists(ROW, max_size=8), st.integers(0, 8))
@settings(max_examples=60, deadline=None)
def test_digests_are_as_documented_and_blind_to_batches(rows: list[dict[str, Any]], cut: int) -> None:
    whole = pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
    each = [told(row) for row in rows]
    head = canonical([[name, name] for name in TYPES])
    expected = hashlib.sha256(head + b"".join(hashlib.sha256(row).digest() for row in each)).hexdigest()
    for batches in ([whole], [whole.slice(0, cut), whole.slice(cut)], [whole.slice(i, 1) for i in range(len(rows))]):
        part = part_of(batches)
        assert part.digest == expected
        assert part.xxh3 == xxhash.xxh3_128_hexdigest(b"".join(each))
        assert (part.rows, part.bytes) == (len(rows), sum(map(len, each)))


def text_rows(count: int) -> pa.Table:
    schema = pa.schema([pa.field("id", pa.int64(), nullable=False), pa.field("text", pa.string(), nullable=False)])
    return pa.table([np.arange(count), [f"text {i} " * (i % 50) for i in range(count)]], schema=schema)


def test_files_too_are_blind_to_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.artifacts.table.GROUP_BYTES", 20_000)
    monkeypatch.setattr("engine.artifacts.table.GROUP_ROWS", 300)
    monkeypatch.setattr("engine.artifacts.table.PART_BYTES", 10_000)
    table = text_rows(3000)
    seen = set()
    for number, batch_rows in enumerate((1, 7, 250, 3000)):
        draft = Draft(tmp_path / str(number))
        with draft.table("documents", table.schema) as writer:
            for batch in table.to_batches(batch_rows):
                writer.write(batch)
        draft.close("documents")
        files = sorted((draft.folder / "documents").iterdir())
        assert len(files) > 3
        seen.add((draft.outputs()["documents"].digest, tuple(path.read_bytes() for path in files)))
        assert pa.Table.from_batches(list(read_table(draft.folder / "documents"))).equals(table)
    assert len(seen) == 1


def test_other_row_groups_and_files_give_the_same_digest(tmp_path: Path) -> None:
    table = text_rows(500)
    expected = part_of(table.to_batches(), table.schema)
    for group, compression in ((500, "none"), (20, "zstd")):
        folder = tmp_path / compression
        folder.mkdir()
        pq.write_table(table[:300], folder / "part-00000.parquet", row_group_size=group, compression=compression)
        pq.write_table(table[300:], folder / "part-00001.parquet", row_group_size=group, use_dictionary=False)
        assert part_of(list(read_table(folder)), table.schema) == expected


def test_no_container_fact_of_pandas_arrow_or_time_is_in_the_file(tmp_path: Path) -> None:
    draft = Draft(tmp_path)
    with draft.table("documents", text_rows(1).schema) as writer:
        writer.write(text_rows(1))
    assert pq.read_metadata(tmp_path / "documents" / "part-00000.parquet").metadata is None


def test_null_is_not_empty_and_columns_do_not_run_together() -> None:
    two = pa.schema([("a", pa.string()), ("b", pa.string())])
    rows = [("x", None), ("x", ""), ("", "x"), (None, "x"), ("xy", "z"), ("x", "yz")]
    batches = [pa.record_batch([[a], [b]], schema=two) for a, b in rows]
    assert len({part_of([batch], two).digest for batch in batches}) == len(rows)


def test_what_hides_under_a_null_does_not_count() -> None:
    kind = pa.schema([("a", pa.int32())])
    bits = pa.py_buffer(b"\x01")
    hidden = [pa.Array.from_buffers(pa.int32(), 2, [bits, pa.py_buffer(struct.pack("<2i", 5, n))]) for n in (0, 9)]
    digests = {part_of([pa.record_batch([array], schema=kind)], kind).digest for array in hidden}
    assert digests == {part_of([pa.record_batch([[5, None]], schema=kind)], kind).digest}


def test_names_and_types_of_columns_count_even_without_rows() -> None:
    schemas = [pa.schema([(name, kind)]) for name in ("a", "b") for kind in TYPES.values()]
    assert len({part_of([], schema).digest for schema in schemas}) == len(schemas)


@pytest.mark.parametrize("kind", [pa.large_string(), pa.int8(), pa.float32(), pa.timestamp("s"), pa.list_(pa.int64())])
def test_a_type_without_canonical_bytes_is_refused(kind: pa.DataType) -> None:
    with pytest.raises(TypeError, match=r"column 'a' has type .* use one of bool, int32, int64, float64, string"):
        TableHasher(pa.schema([("a", kind)]))


def test_a_null_inside_a_list_is_refused() -> None:
    kind = pa.schema([("a", pa.list_(pa.int32()))])
    with pytest.raises(TypeError, match="null item"):
        row_bytes(pa.record_batch([[[1, None]]], schema=kind))


def test_the_identity_of_a_table_is_pinned() -> None:
    batch = pa.RecordBatch.from_pylist(
        [dict.fromkeys(TYPES), dict(zip(TYPES, ["\u00e9", -1, 2**40, -0.0, True, b"\0", [1, -2]], strict=True))],
        schema=SCHEMA,
    )
    assert part_of([batch]).digest == "3c8ed5b16344211a558a5d79317cf0238e762a8087594c0dad3d68de75557ea5"
