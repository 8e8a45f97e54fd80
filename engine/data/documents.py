"""The record of the data room, a document, and the tables of documents and of drops."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from hashlib import sha256
from types import TracebackType
from typing import Protocol, Self, final

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import JsonValue

from engine.artifacts.draft import Draft
from engine.artifacts.manifest import TablePart
from engine.artifacts.progress import progress
from engine.artifacts.read import Input, read_table
from engine.spec.canonical import canonical
from engine.spec.errors import ArtifactError

COLUMNS = ("id", "source", "domain", "group", "locator", "licence", "text")
DROPPED_COLUMNS = ("id", "source", "domain", "reason", "stands_for", "measured")
SCHEMA = pa.schema([pa.field(name, pa.string(), nullable=False) for name in COLUMNS])
DROPPED_SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.string(), nullable=False) for name in DROPPED_COLUMNS[:-1]),
        pa.field("measured", pa.float64()),  # what the reason's threshold was held against; null where it has none
    ]
)
BATCH_ROWS = 1024
BATCH_CHARS = 1 << 20  # a batch ends at whichever comes first, so that memory holds about one megabyte of text


@final
@dataclass(frozen=True, slots=True)
class Document:
    """A piece of text with its origin. `group` is equal for documents that stay on one side of a split."""

    id: str  # 32 hex digits
    source: str
    domain: str
    group: str
    locator: str  # file!member#unit
    licence: str
    text: str


class Drop(Protocol):
    """Takes a document that goes, with the reason, the document that stands for it, and the number that decided."""

    def __call__(self, document: Document, reason: str, stands_for: str = "", measured: float | None = None) -> None:
        """One document."""


def document_id(source_sha256: str, locator: str) -> str:
    """The first half of the sha256 of where the text comes from."""
    return sha256(canonical([source_sha256, locator])).hexdigest()[:32]


def documents_of(batch: pa.RecordBatch) -> Iterator[Document]:
    """The documents of a record batch, one at a time."""
    for row in zip(*(batch.column(name).to_pylist() for name in COLUMNS), strict=True):
        yield Document(*row)


def read_documents(documents: Input) -> Iterator[Document]:
    """The documents of an artifact in their order; memory holds one row group."""
    for batch in read_table(documents.folder, COLUMNS):
        yield from documents_of(batch)


def watched_documents(documents: Input, label: str) -> Iterator[Document]:
    """The documents of an artifact, with progress by their number in the manifest."""
    parts = documents.manifest.outputs[documents.output].parts.values()
    rows = sum(part.rows for part in parts if isinstance(part, TablePart))
    return progress(read_documents(documents), rows, "documents", label)


@final
class DocumentTable:
    """An output of documents that is open for writing; closed as an output when the block ends well."""

    def __init__(self, out: Draft, output: str) -> None:
        self.documents: Counter[str] = Counter()
        self.characters: Counter[str] = Counter()
        self._output = _Output(out, output, SCHEMA)

    def add(self, document: Document) -> None:
        self.documents[document.domain] += 1
        self.characters[document.domain] += len(document.text)
        self._output.rows.add(astuple(document), len(document.text))

    def write(self, batch: pa.RecordBatch) -> None:
        """Documents that a worker gathered."""
        counted = _counts(batch, "domain", pc.utf8_length(batch.column("text")))
        for domain, documents, characters in counted:
            self.documents[domain] += documents
            self.characters[domain] += characters
        self._output.write(batch)

    def metrics(self) -> dict[str, JsonValue]:
        return {"documents": by_domain(self.documents), "characters": by_domain(self.characters)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._output.finish(kind is None)


@final
class Drops:
    """The output `dropped`: each document that went, why, and which one stands for it."""

    def __init__(self, out: Draft) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self._of_sources: dict[str, Counter[str]] = {}
        self._output = _Output(out, "dropped", DROPPED_SCHEMA)

    def add(self, document: Document, reason: str, stands_for: str = "", measured: float | None = None) -> None:
        """One document; `measured` is what the reason's threshold was held against, or the similarity."""
        self._count(reason, document.domain, document.source, 1)
        self._output.rows.add(dropped_row(document, reason, stands_for, measured), 0)

    def write(self, batch: pa.RecordBatch) -> None:
        """Drops that a worker gathered."""
        keys = ["reason", "domain", "source"]
        counted = pa.Table.from_batches([batch.select(keys)]).group_by(keys).aggregate([([], "count_all")])
        for row in counted.to_pylist():
            self._count(row["reason"], row["domain"], row["source"], row["count_all"])
        self._output.write(batch)

    def metrics(self) -> dict[str, JsonValue]:
        return {
            "dropped": {reason: by_domain(self.counts[reason]) for reason in sorted(self.counts)},
            "dropped_of_sources": {reason: by_domain(found) for reason, found in sorted(self._of_sources.items())},
        }

    def _count(self, reason: str, domain: str, source: str, number: int) -> None:
        self.counts.setdefault(reason, Counter())[domain] += number
        self._of_sources.setdefault(reason, Counter())[source] += number

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._output.finish(kind is None)


def dropped_row(document: Document, reason: str, stands_for: str, measured: float | None) -> tuple[object, ...]:
    """A row of DROPPED_SCHEMA."""
    return (document.id, document.source, document.domain, reason, stands_for, measured)


def by_domain(counts: Counter[str]) -> dict[str, JsonValue]:
    """Counts as plain data, sorted by domain."""
    return {domain: counts[domain] for domain in sorted(counts)}


def refuse_empty(counts: Counter[str], after: str) -> None:
    """ArtifactError when a stage would hand on no document at all."""
    if not counts.total():
        raise ArtifactError(f"no documents left: {after}")


@final
class Batches:
    """Rows gathered into record batches of bounded size, each handed to `sink`."""

    def __init__(self, schema: pa.Schema, sink: Callable[[pa.RecordBatch], None]) -> None:
        self._schema, self._sink = schema, sink
        self._held: list[tuple[object, ...]] = []
        self._chars = 0

    def add(self, row: tuple[object, ...], chars: int) -> None:
        self._held.append(row)
        self._chars += chars
        if len(self._held) >= BATCH_ROWS or self._chars >= BATCH_CHARS:
            self.flush()

    def flush(self) -> None:
        if self._held:
            columns = [
                pa.array(column, field.type)
                for column, field in zip(zip(*self._held, strict=True), self._schema, strict=True)
            ]
            self._sink(pa.RecordBatch.from_arrays(columns, schema=self._schema))
            self._held, self._chars = [], 0


def _counts(batch: pa.RecordBatch, key: str, sizes: pa.Array) -> list[tuple[str, int, int]]:
    """(value of `key`, rows, sum of `sizes`) of each value."""
    table = pa.table({"key": batch.column(key), "size": sizes})
    found = table.group_by("key").aggregate([([], "count_all"), ("size", "sum")])
    return [(row["key"], row["count_all"], row["size_sum"]) for row in found.to_pylist()]


@final
class _Output:
    """A table that is the whole of one output."""

    def __init__(self, out: Draft, output: str, schema: pa.Schema) -> None:
        self._out, self._name = out, output
        self._table = out.table(output, schema)
        self.rows = Batches(schema, self._table.write)

    def write(self, batch: pa.RecordBatch) -> None:
        """A whole batch, after all rows before it."""
        self.rows.flush()
        self._table.write(batch)

    def finish(self, well: bool) -> None:
        if not well:
            self._table.abort()
            return
        self.rows.flush()
        self._table.close()
        self._out.close(self._name)
