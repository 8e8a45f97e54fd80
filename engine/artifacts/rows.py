"""Canonical bytes of table rows, and digests of a table that know nothing of batches, row groups, files or versions.

A row's bytes are its fixed part and then its variable part, without padding.
Fixed part, for each column in the order of the schema:
    1 byte             1 if there is a value, 0 for null
    bool               1 byte, 0 or 1
    int32              4 bytes, little-endian, two's complement
    int64              8 bytes, little-endian, two's complement
    float64            8 bytes, little-endian, IEEE 754 bits as they are
    string, binary     8 bytes, little-endian: number of bytes
    list<int32>        8 bytes, little-endian: number of bytes, four for each item
  A null has zeros in place of its value or its number of bytes.
Variable part, for each string, binary and list column in the order of the schema: the bytes (UTF-8 for strings;
4 bytes little-endian for each item of a list, which is never null); nothing for null.

sha256 of the table: over the canonical JSON of [[name, type], ...] and then, for each row, the 32 bytes of the sha256
of its bytes. XXH3-128 of the table: over the bytes of all rows.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from engine.artifacts.manifest import Column, TablePart
from engine.spec.canonical import canonical

_FIXED = {
    pa.bool_(): ("bool", "u1"),
    pa.int32(): ("int32", "<i4"),
    pa.int64(): ("int64", "<i8"),
    pa.float64(): ("float64", "<f8"),
}
_VARIABLE = {pa.string(): "string", pa.binary(): "binary"}
_LIST = "list<int32>"


def column_types(schema: pa.Schema) -> tuple[tuple[str, str], ...]:
    """(name, type) of every column, in our own spelling; TypeError for a type that has no canonical bytes."""
    return tuple((field.name, _type_name(field)) for field in schema)


def _type_name(field: pa.Field) -> str:
    kind = field.type
    if kind in _FIXED:
        return _FIXED[kind][0]
    if kind in _VARIABLE:
        return _VARIABLE[kind]
    if pa.types.is_list(kind) and kind.value_type == pa.int32():
        return _LIST
    allowed = ", ".join((*(name for name, _ in _FIXED.values()), *_VARIABLE.values(), _LIST))
    raise TypeError(f"column {field.name!r} has type {kind}, which has no canonical bytes; use one of {allowed}")


@dataclass(frozen=True, slots=True)
class RowBytes:
    """Rows of one batch: all bytes, one after the other, and where each row begins."""

    data: memoryview
    offsets: np.ndarray  # int64 [rows + 1]


def row_bytes(batch: pa.RecordBatch) -> RowBytes:
    """Canonical bytes of every row of a batch."""
    if not batch.num_rows:
        return RowBytes(memoryview(b""), np.zeros(1, "i8"))
    fixed: list[np.ndarray] = []
    variable: list[pa.LargeBinaryArray] = []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        fixed.append(np.asarray(pc.is_valid(column), dtype="u1").reshape(-1, 1))
        if field.type in _FIXED:
            fixed.append(_values(column, _FIXED[field.type][1]))
        else:
            pieces = _list_bytes(column) if pa.types.is_list(field.type) else _text_bytes(column)
            lengths = np.diff(_offsets(pieces)).astype("<i8")
            fixed.append(lengths.reshape(-1, 1).view("u1"))
            variable.append(pieces)
    return _joined(np.concatenate(fixed, axis=1) if fixed else np.empty((batch.num_rows, 0), "u1"), variable)


def _values(column: pa.Array, dtype: str) -> np.ndarray:
    zero = pa.scalar(0, pa.int8()).cast(column.type)
    values = pc.fill_null(column, zero).to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(values.astype(dtype)).reshape(-1, 1).view("u1")


def _text_bytes(column: pa.Array) -> pa.LargeBinaryArray:
    return pc.fill_null(column.cast(pa.binary()).cast(pa.large_binary()), b"")


def _list_bytes(column: pa.Array) -> pa.LargeBinaryArray:
    items = column.flatten()
    if items.null_count:
        raise TypeError("a list with a null item has no canonical bytes; use a number that means nothing")
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    return _binary(4 * _ends(lengths), items.to_numpy(zero_copy_only=False).astype("<i4"))


def _ends(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros(1, "i8"), np.cumsum(lengths, dtype="i8")])


def _binary(offsets: np.ndarray, data: np.ndarray) -> pa.LargeBinaryArray:
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(data))]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)


def _offsets(array: pa.LargeBinaryArray) -> np.ndarray:
    whole = np.frombuffer(array.buffers()[1], dtype="i8", count=array.offset + len(array) + 1)
    return whole[array.offset :]


def _joined(fixed: np.ndarray, variable: Sequence[pa.LargeBinaryArray]) -> RowBytes:
    rows, width = fixed.shape
    array = _binary(np.arange(rows + 1, dtype="i8") * width, fixed)
    if variable:
        array = pc.binary_join_element_wise(array, *variable, pa.scalar(b"", pa.large_binary()))
    data = array.buffers()[2]
    return RowBytes(memoryview(data), _offsets(array))


class TableHasher:
    """Digests of a table that comes batch by batch; memory is that of one batch."""

    def __init__(self, schema: pa.Schema) -> None:
        self.columns = column_types(schema)
        self.rows = 0
        self.bytes = 0
        self._sha256 = hashlib.sha256(canonical(self.columns))
        self._xxh3 = xxhash.xxh3_128()

    def update(self, rows: RowBytes) -> None:
        begin, end = int(rows.offsets[0]), int(rows.offsets[-1])
        data, sha256 = rows.data, hashlib.sha256
        each = [sha256(data[a:b]).digest() for a, b in pairwise(rows.offsets.tolist())]
        self._sha256.update(b"".join(each))
        self._xxh3.update(data[begin:end])
        self.rows += len(each)
        self.bytes += end - begin

    def part(self) -> TablePart:
        """The record of all rows so far."""
        return TablePart(
            kind="table",
            digest=self._sha256.hexdigest(),
            xxh3=self._xxh3.hexdigest(),
            rows=self.rows,
            bytes=self.bytes,
            columns=tuple(Column(name=name, type=kind) for name, kind in self.columns),
        )
