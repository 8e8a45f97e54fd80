"""The record of the data room, a document, and the tables of documents and of drops."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from hashlib import sha256
from types import TracebackType
from typing import Self, final

import pyarrow as pa
from pydantic import JsonValue

from engine.artifacts.draft import Draft
from engine.artifacts.manifest import TablePart
from engine.artifacts.progress import progress
from engine.artifacts.read import Input, read_table
from engine.spec.canonical import canonical
from engine.spec.errors import ArtifactError

COLUMNS = ("id", "source", "domain", "group", "locator", "licence", "text")
DROPPED_COLUMNS = ("id", "source", "domain", "reason", "stands_for")
SCHEMA = pa.schema([pa.field(name, pa.string(), nullable=False) for name in COLUMNS])
DROPPED_SCHEMA = pa.schema([pa.field(name, pa.string(), nullable=False) for name in DROPPED_COLUMNS])
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
        self._output = _Output(out, "dropped", DROPPED_SCHEMA)

    def add(self, document: Document, reason: str, stands_for: str = "") -> None:
        self.counts.setdefault(reason, Counter())[document.domain] += 1
        self._output.rows.add((document.id, document.source, document.domain, reason, stands_for), 0)

    def metrics(self) -> dict[str, JsonValue]:
        return {"dropped": {reason: by_domain(self.counts[reason]) for reason in sorted(self.counts)}}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._output.finish(kind is None)


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
        self._held: list[tuple[str, ...]] = []
        self._chars = 0

    def add(self, row: tuple[str, ...], chars: int) -> None:
        self._held.append(row)
        self._chars += chars
        if len(self._held) >= BATCH_ROWS or self._chars >= BATCH_CHARS:
            self.flush()

    def flush(self) -> None:
        if self._held:
            columns = [pa.array(column, pa.string()) for column in zip(*self._held, strict=True)]
            self._sink(pa.RecordBatch.from_arrays(columns, schema=self._schema))
            self._held, self._chars = [], 0


@final
class _Output:
    """A table that is the whole of one output."""

    def __init__(self, out: Draft, output: str, schema: pa.Schema) -> None:
        self._out, self._name = out, output
        self._table = out.table(output, schema)
        self.rows = Batches(schema, self._table.write)

    def finish(self, well: bool) -> None:
        if not well:
            self._table.abort()
            return
        self.rows.flush()
        self._table.close()
        self._out.close(self._name)
