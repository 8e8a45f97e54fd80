"""Rows of a file in a format that the Hugging Face hub serves, read by `datasets` itself: the texts of one column."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
from datasets import load_dataset

from engine.data.readers.jsonl import at
from engine.data.readers.spec import HubRows
from engine.data.readers.unit import Faulty, Skipped, Unit
from engine.spec.errors import ArtifactError

_BROKEN = (pa.ArrowException, OSError, ValueError, UnicodeDecodeError)


def read_rows(stream: IO[bytes], where: str, form: HubRows) -> Iterator[Unit | Skipped | Faulty]:
    """One unit a row, in the order of the file; a null is passed over. Bytes are copied: the builder wants a file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows"
        with file.open("wb") as copy:
            shutil.copyfileobj(stream, copy, 1 << 20)
        try:
            for number, row in enumerate(_rows(file, form), start=1):
                yield _unit(row, number, form, f"{where} row {number}")
        except _BROKEN as error:
            raise ArtifactError(
                f"{where}: `datasets` cannot read it as {form.builder} ({error}); get the file again, or name the "
                "builder of its format"
            ) from error


def _rows(file: Path, form: HubRows) -> Iterator[dict[str, Any]]:
    """Streamed: nothing is written to the cache of `datasets`. Columns of CSV would be guessed to be numbers."""
    guessed = {"converters": {form.text: str}} if form.builder == "csv" else {}
    rows: Iterator[dict[str, Any]] = iter(
        load_dataset(form.builder, data_files={"train": [str(file)]}, split="train", streaming=True, **guessed)
    )
    return rows


def _unit(row: dict[str, Any], number: int, form: HubRows, where: str) -> Unit | Skipped | Faulty:
    if form.only is not None:
        found = at(row, form.only.key, where)
        if isinstance(found, Faulty):
            return found
        if found != form.only.equals:
            return Skipped(f"not_{form.only.equals}")
    text = at(row, form.text, where)
    if text is None:
        return Skipped("null")
    if isinstance(text, str):
        return Unit(f"row={number}", text)
    if isinstance(text, Faulty):
        return text
    return Faulty("no_text", f"{where}: {form.text!r} is {type(text).__name__}, not text; name the column of the text")
