"""From a token in training back to the bytes of a document, and from a document to every place where it is read."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.artifacts.progress import progress
from engine.artifacts.read import Input, read_array, read_table
from engine.data.documents import COLUMNS, Document, documents_of
from engine.data.lookup import find
from engine.data.tokenizer import Tokenizer, load_tokenizer
from engine.spec.errors import ArtifactError, SpecError

SCHEMA = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),  # the stored row
        pa.field("segment", pa.int32(), nullable=False),  # from 0 in its row
        pa.field("document", pa.string(), nullable=False),
        pa.field("domain", pa.string(), nullable=False),
        pa.field("byte_begin", pa.int64(), nullable=False),  # in the document's UTF-8 text
        pa.field("byte_end", pa.int64(), nullable=False),
        pa.field("first", pa.int32(), nullable=False),  # index of the first token in the row
        pa.field("tokens", pa.int32(), nullable=False),
        pa.field("separators", pa.int32(), nullable=False),  # end ids among the tokens, always the last
    ]
)
BLOCK = 1 << 20  # positions searched at a time
PROBLEMS = 20
CONTROLS = (*range(9), *range(11, 32), *range(127, 160))
ESCAPED = {code: f"\\x{code:02x}" for code in CONTROLS}  # a document must not steer the reader's terminal

Positions = npt.NDArray[np.int64]


@final
@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of one document in one row; `text` holds U+FFFD where the range cuts a character."""

    row: int
    segment: int
    document: str
    domain: str
    source: str
    locator: str
    licence: str
    byte_begin: int
    byte_end: int
    first: int
    tokens: int
    separators: int
    text: str

    def data(self) -> dict[str, Any]:
        """The segment as JSON data."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The segment for people: where it is from, then its text."""
        end = " with the end of the document" if self.separators else ""
        return [
            f"  tokens {self.first}-{self.first + self.tokens - 1}{end}: {self.domain}, document {self.document}, "
            f"bytes {self.byte_begin}-{self.byte_end}",
            f"    from {self.source}: {self.locator} ({self.licence})",
            *(f"    | {line.translate(ESCAPED)}" for line in self.text.split("\n")),
        ]


def rows_of_step(rows: Input, step: int, batch_rows: int) -> Positions:
    """The stored rows of a training step, which counts from 1."""
    order = read_array(rows.folder, "order")
    steps = len(order) // batch_rows
    if not 1 <= step <= steps:
        raise SpecError(f"step {step}: {rows.run} has rows for steps 1 to {steps} of {batch_rows} rows each")
    return np.array(order[(step - 1) * batch_rows : step * batch_rows])


def trace_row(rows: Input, provenance: Input, documents: Input, position: int) -> tuple[Segment, ...]:
    """The documents behind the row at a position of the training order, piece by piece."""
    return trace_rows(rows, provenance, documents, (position,))[0]


def trace_rows(
    rows: Input, provenance: Input, documents: Input, positions: Sequence[int]
) -> tuple[tuple[Segment, ...], ...]:
    """The documents behind each of some positions of the training order; every table is searched once for all."""
    order = read_array(rows.folder, "order")
    outside = [position for position in positions if not 0 <= position < len(order)]
    if outside:
        raise SpecError(f"position {outside[0]}: {rows.run} has positions 0 to {len(order) - 1}")
    stored = [int(order[position]) for position in positions]
    pieces: dict[int, list[dict[str, Any]]] = {row: [] for row in stored}
    for table in find(provenance.folder, "row", pieces.keys(), SCHEMA.names):
        for item in table.to_pylist():
            pieces[item["row"]].append(item)
    for row, found in pieces.items():
        if not found:
            raise ArtifactError(f"{provenance.run}@{provenance.output} knows nothing of row {row}; build it again")
    known = documents_by_id(documents, {item["document"] for found in pieces.values() for item in found})
    return tuple(tuple(_segment(item, known[item["document"]]) for item in pieces[row]) for row in stored)


def positions_of_document(rows: Input, provenance: Input, documents: Input, document: str) -> Positions:
    """Every position of the training order that reads something of a document, ascending."""
    tables = find(provenance.folder, "document", {document}, ["row"])
    stored = np.unique(np.concatenate([np.empty(0, np.int64), *(table["row"].to_numpy() for table in tables)]))
    if not len(stored):
        documents_by_id(documents, {document})
    return positions_of_rows(rows, stored)


def positions_of_rows(rows: Input, stored: Positions) -> Positions:
    """Every position of the training order at which one of the stored rows stands, ascending."""
    order = read_array(rows.folder, "order")
    blocks = [np.empty(0, np.int64)]
    for begin in range(0, len(order), BLOCK):
        blocks.append(begin + np.flatnonzero(np.isin(order[begin : begin + BLOCK], stored)))
    return np.concatenate(blocks)


def documents_by_id(documents: Input, ids: Collection[str]) -> dict[str, Document]:
    """The documents of some ids; SpecError names those that are not there."""
    known = {document.id: document for document in _documents(documents, "id", ids)}
    if missing := sorted(set(ids) - set(known)):
        raise SpecError(f"{documents.run}@{documents.output} has no document {', '.join(missing)}")
    return known


def check_rows(rows: Input, provenance: Input, documents: Input, tokenizer: Input, every: int = 1) -> list[str]:
    """What is wrong with the provenance, if anything: of every row, or of one in `every`.

    The segments of a row tile it, end ids stand where they say, and the other ids spell the bytes of the document's
    range. Streams through all three tables once for each domain; gives up after PROBLEMS problems.
    """
    ids, model, texts = read_array(rows.folder, "ids"), load_tokenizer(tokenizer.folder), _Texts(documents)
    problems: list[str] = []
    expected = 0
    for row, segments in progress(_by_row(provenance), len(ids), "rows", "tracing"):
        if row != expected or row >= len(ids):
            return [*problems, f"of {len(ids)} rows, row {row} stands where row {expected} should"]
        expected = row + 1
        if row % every == 0:
            problems += _check_row(row, ids[row], segments, model, texts)
        if len(problems) >= PROBLEMS:
            return [*problems, f"rows after {row} were not looked at"]
    if expected < len(ids):
        problems.append(f"rows {expected} to {len(ids) - 1} have no provenance")
    return problems


def _by_row(provenance: Input) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    segments = (item for batch in read_table(provenance.folder) for item in batch.to_pylist())
    for row, found in groupby(segments, key=lambda item: int(item["row"])):
        yield row, list(found)


def _check_row(
    row: int, ids: npt.NDArray[np.integer], segments: list[dict[str, Any]], model: Tokenizer, texts: "_Texts"
) -> list[str]:
    firsts = [0, *np.cumsum([item["tokens"] for item in segments]).tolist()]
    told = [(item["segment"], item["first"]) for item in segments]
    if told != list(enumerate(firsts[:-1])) or firsts[-1] != len(ids):
        return [f"row {row}: its segments do not tile its {len(ids)} tokens"]
    problems = (_check_segment(item, ids, model, texts) for item in segments)
    return [f"row {row}, segment {number}: {problem}" for number, problem in enumerate(problems) if problem]


def _check_segment(item: dict[str, Any], ids: npt.NDArray[np.integer], model: Tokenizer, texts: "_Texts") -> str:
    """The problem, or an empty text."""
    data = texts.find(item["domain"], item["document"])
    if data is None:
        return f"document {item['document']} is not in domain {item['domain']}, or not in the order of the documents"
    end = item["first"] + item["tokens"]
    text_end = end - item["separators"]
    spelt, told = model.decode(ids[item["first"] : text_end]), data[item["byte_begin"] : item["byte_end"]]
    at_front = item["byte_begin"] == 0 and spelt == model.prefix + told
    if spelt != told and not at_front:
        return f"its ids spell {spelt!r:.60}, bytes {item['byte_begin']}-{item['byte_end']} are {told!r:.60}"
    if (ids[text_end:end] != model.end_id).any():
        return f"ids {ids[text_end:end].tolist()} stand where document {item['document']} should end"
    return ""


@final
class _Texts:
    """The documents of a domain in order, read along with the rows; one document is held."""

    def __init__(self, documents: Input) -> None:
        self._documents = documents
        self._domain = ""
        self._stream: Iterator[Document] = iter(())
        self._held: tuple[str, bytes] = ("", b"")

    def find(self, domain: str, document: str) -> bytes | None:
        """The bytes of a document that is at or after the one found last; None if there is none."""
        if domain != self._domain:
            self._domain, self._stream = domain, _documents(self._documents, "domain", {domain})
        if self._held[0] == document:
            return self._held[1]
        for found in self._stream:
            if found.id == document:
                self._held = (document, found.text.encode())
                return self._held[1]
        return None


def _documents(documents: Input, column: str, values: Collection[str]) -> Iterator[Document]:
    for table in find(documents.folder, column, values, COLUMNS):
        for batch in table.to_batches():
            yield from documents_of(batch)


def _segment(item: dict[str, Any], document: Document) -> Segment:
    data = document.text.encode()[item["byte_begin"] : item["byte_end"]]
    return Segment(
        row=item["row"],
        segment=item["segment"],
        document=document.id,
        domain=document.domain,
        source=document.source,
        locator=document.locator,
        licence=document.licence,
        byte_begin=item["byte_begin"],
        byte_end=item["byte_end"],
        first=item["first"],
        tokens=item["tokens"],
        separators=item["separators"],
        text=data.decode(errors="replace"),
    )
