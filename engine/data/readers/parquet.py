"""A Parquet file: the texts of one column, row by row."""

import shutil
import tempfile
from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.data.readers.jsonl import at
from engine.data.readers.spec import ParquetTable
from engine.data.readers.unit import Faulty, Skipped, Unit
from engine.spec.errors import ArtifactError

_BATCH_ROWS = 256


def read_parquet(stream: IO[bytes], where: str, form: ParquetTable) -> Iterator[Unit | Skipped | Faulty]:
    """One unit a row; a null is passed over. Parquet is read from its end, so the bytes are first copied aside."""
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(stream, copy, 1 << 20)
        try:
            yield from _rows(pq.ParquetFile(copy, pre_buffer=False), where, form)
        except (pa.ArrowException, OSError) as error:
            raise ArtifactError(f"{where} is no whole Parquet file ({error}); get it again") from error


def _rows(file: pq.ParquetFile, where: str, form: ParquetTable) -> Iterator[Unit | Skipped | Faulty]:
    column, schema = form.text, file.schema_arrow
    if column not in schema.names:
        raise ArtifactError(f"{where} has no column {column!r}; its columns are {', '.join(schema.names)}")
    kind = schema.field(column).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise ArtifactError(f"{where}: column {column!r} is {kind}, not text; name the column of the text")
    number = 0
    columns = [column] if form.only is None else [column, form.only.key]
    for batch in file.iter_batches(_BATCH_ROWS, columns=columns):
        for row in batch.to_pylist():
            number += 1
            yield _unit(row, number, form, f"{where} row {number}")


def _unit(row: dict[str, Any], number: int, form: ParquetTable, where: str) -> Unit | Skipped | Faulty:
    if form.only is not None:
        found = at(row, form.only.key, where)
        if isinstance(found, Faulty):
            return found
        if found != form.only.equals:
            return Skipped(f"not_{form.only.equals}")
    text = row[form.text]
    return Skipped("null") if text is None else Unit(f"row={number}", text)
