"""Documents that a function keeps or drops, partition by partition on any executor, put down in one order.

Workers write what stays and what goes into scratch files, so memory holds one partition for each of them.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple
from functools import partial
from pathlib import Path

import pyarrow as pa
from pydantic import JsonValue

from engine.artifacts.draft import Draft
from engine.artifacts.placement import Placement
from engine.artifacts.progress import progress
from engine.artifacts.read import Input
from engine.data.documents import (
    DROPPED_SCHEMA,
    SCHEMA,
    Batches,
    Document,
    DocumentTable,
    Drop,
    Drops,
    dropped_row,
    refuse_empty,
)
from engine.data.partitions import Partition, documents_in, partitions
from engine.data.pool import in_order
from engine.data.scratch import scratch_folder

Sieve = Callable[[Iterator[Document], Drop], Iterator[Document]]
"""Gives the documents that stay, and hands the others to its second argument; a worker gets it by pickle."""


def sift(source: Input, sieve: Sieve, out: Draft, placement: Placement, label: str) -> dict[str, JsonValue]:
    """Writes and closes `documents` and `dropped`; gives the counts. ArtifactError when nothing is left."""
    with scratch_folder(out) as folder:
        return sift_in(folder, source, sieve, out, placement, label)


def sift_in(
    folder: Path, source: Input, sieve: Sieve, out: Draft, placement: Placement, label: str
) -> dict[str, JsonValue]:
    """`sift` for a sieve that reads what lies in the scratch folder already."""
    pieces = partitions(source, placement)
    work = ((folder / f"{number:08d}", (piece, folder / f"{number:08d}")) for number, piece in enumerate(pieces))
    done = in_order(partial(_sift_one, sieve), work, placement)
    with closing(done), DocumentTable(out, "documents") as table, Drops(out) as drops:
        for target, _ in progress(done, len(pieces), "parts", label):
            for batch in read_back(target.with_suffix(".kept")):
                table.write(batch)
            for batch in read_back(target.with_suffix(".dropped")):
                drops.write(batch)
        reasons = ", ".join(f"{counts.total()} for {reason}" for reason, counts in sorted(drops.counts.items()))
        refuse_empty(table.documents, f"{label} dropped all of {source.run}: {reasons}; ask less of it")
    return table.metrics() | drops.metrics()


def _sift_one(sieve: Sieve, work: tuple[Partition, Path]) -> None:
    piece, target = work
    with (
        spill(target.with_suffix(".kept"), SCHEMA) as kept,
        spill(target.with_suffix(".dropped"), DROPPED_SCHEMA) as gone,
    ):
        rows, drops = Batches(SCHEMA, kept.write_batch), Batches(DROPPED_SCHEMA, gone.write_batch)

        def drop(document: Document, reason: str, stands_for: str = "", measured: float | None = None) -> None:
            drops.add(dropped_row(document, reason, stands_for, measured), 0)

        for document in sieve(documents_in(piece), drop):
            rows.add(astuple(document), len(document.text))
        rows.flush()
        drops.flush()


@contextmanager
def spill(path: Path, schema: pa.Schema) -> Iterator[pa.ipc.RecordBatchStreamWriter]:
    """A scratch file of record batches, open for writing."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        yield writer


def read_back(path: Path) -> Iterator[pa.RecordBatch]:
    """The record batches of a scratch file, which is gone afterwards."""
    with pa.OSFile(str(path), "rb") as file, pa.ipc.open_stream(file) as batches:
        yield from batches
    path.unlink()
