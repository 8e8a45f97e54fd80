"""Packed rows in fill-in-the-middle form: each piece of a document as prefix, suffix and middle behind sentinel ids.

Form and cuts are drawn from the stage's seed and from where in which document the row begins, so they depend neither
on the number that the row has nor on how long the sequence is. Each row says which form it got.
"""

from collections.abc import Iterator
from contextlib import closing
from functools import cache, partial
from itertools import groupby
from pathlib import Path
from typing import Literal, NamedTuple, assert_never, final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import JsonValue

from engine.artifacts.draft import Draft
from engine.artifacts.placement import Placement
from engine.artifacts.progress import progress
from engine.artifacts.read import Inputs, read_array, read_table
from engine.data.documents import Batches
from engine.data.pack import ids_dtype
from engine.data.pool import in_order
from engine.data.provenance import SCHEMA
from engine.data.spec import AppendedSentinels, FimPlan, NamedSentinels
from engine.data.tokenizer import Irreversible, Tokenizer, load_tokenizer, read_info
from engine.spec.errors import ArtifactError
from engine.spec.philox import Stream, generator

BLOCK = 256  # rows handed to a worker at a time
CHOICES = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),  # the stored row
        pa.field("form", pa.string(), nullable=False),  # plain, psm or spm
        pa.field("padding", pa.int32(), nullable=False),  # pad ids at its end
        pa.field("left_out", pa.int64(), nullable=False),  # bytes of the packed row that it has no room for
    ]
)

Form = Literal["plain", "psm", "spm"]
Ids = npt.NDArray[np.int32]


class Sentinels(NamedTuple):
    """The ids that mark the parts."""

    prefix: int
    middle: int
    suffix: int
    pad: int


class Piece(NamedTuple):
    """A piece of one document in a row, as provenance tells of it."""

    document: str
    domain: str
    byte_begin: int
    byte_end: int
    first: int
    tokens: int
    separators: int


class Work(NamedTuple):
    """One packed row."""

    ids: Ids
    pieces: tuple[Piece, ...]


class Made(NamedTuple):
    """One row in its form."""

    ids: Ids
    pieces: tuple[Piece, ...]
    form: Form
    padding: int
    left_out: int


def fim(stage: FimPlan, inputs: Inputs, out: Draft, placement: Placement) -> dict[str, JsonValue]:
    """Writes and closes `rows`, `provenance` and `choices`; gives the counts. ArtifactError for damaged inputs."""
    rows, provenance, tokenizer = (inputs.one(ref) for ref in (stage.rows, stage.provenance, stage.tokenizer))
    packed = read_array(rows.folder, "ids")
    sentinels = sentinels_of(stage, tokenizer.folder)
    work = ((tuple(row.pieces[0].domain for row in block), block) for block in _blocks(packed, provenance.folder))
    done = in_order(partial(_transform, stage, sentinels, str(tokenizer.folder), tokenizer.digest), work, placement)
    tally, number = _Tally(), 0
    ids = out.array("rows", "ids", ids_dtype(stage.vocabulary), (stage.row_tokens,))
    with (
        closing(done),
        ids,
        out.table("provenance", SCHEMA) as table,
        out.table("choices", CHOICES) as choices,
    ):
        segments, chosen = Batches(SCHEMA, table.write), Batches(CHOICES, choices.write)
        for domains, block in progress(done, -(-len(packed) // BLOCK), "blocks", "fim"):
            ids.write(np.stack([made.ids for made in block]).astype(ids_dtype(stage.vocabulary)))
            for domain, made in zip(domains, block, strict=True):
                for place, piece in enumerate(made.pieces):
                    segments.add((number, place, *piece), 0)
                chosen.add((number, made.form, made.padding, made.left_out), 0)
                tally.add(domain, made)
                number += 1
        segments.flush()
        chosen.flush()
    if number != len(packed):
        raise ArtifactError(f"{provenance.run} tells of {number} rows, {rows.run} has {len(packed)}; build them again")
    order = read_array(rows.folder, "order")
    for name, values in (("order", order), ("chunks", read_array(rows.folder, "chunks"))):
        with out.array("rows", name, np.dtype(np.int64), ()) as array:
            array.write(np.asarray(values))
    for output in ("rows", "provenance", "choices"):
        out.close(output)
    return tally.metrics(len(order))


def sentinels_of(stage: FimPlan, model: Path) -> Sentinels:
    """The ids of the sentinels. ArtifactError names those that the tokenizer does not have."""
    match stage.sentinels:
        case AppendedSentinels():
            first = read_info(model).vocabulary
            return Sentinels(first, first + 1, first + 2, first + 3)
        case NamedSentinels(prefix=prefix, middle=middle, suffix=suffix, pad=pad):
            from engine.data.tokenizers.huggingface import special_ids

            return Sentinels(*special_ids(model / read_info(model).file, (prefix, middle, suffix, pad)))
        case _:
            assert_never(stage.sentinels)


def _blocks(packed: np.ndarray, provenance: Path) -> Iterator[tuple[Work, ...]]:
    """Rows with their segments, in order, BLOCK at a time."""
    held: list[Work] = []
    segments = (item for batch in read_table(provenance) for item in batch.to_pylist())
    for number, (row, found) in enumerate(groupby(segments, key=lambda item: int(item["row"]))):
        if row != number or row >= len(packed):
            raise ArtifactError(f"{provenance} has row {row} where row {number} should be; build it again")
        held.append(Work(np.asarray(packed[row], np.int32), tuple(_piece(item) for item in found)))
        if len(held) == BLOCK:
            yield tuple(held)
            held = []
    if held:
        yield tuple(held)


def _piece(item: dict[str, object]) -> Piece:
    return Piece(*(item[name] for name in Piece._fields))  # type: ignore[arg-type]


@cache
def _tokenizer(folder: str, digest: str) -> Tokenizer:  # noqa: ARG001 another content is another tokenizer
    return load_tokenizer(Path(folder))


def _transform(
    stage: FimPlan, sentinels: Sentinels, folder: str, digest: str, block: tuple[Work, ...]
) -> tuple[Made, ...]:
    tokenizer = _tokenizer(folder, digest)
    return tuple(transform(row, stage, sentinels, tokenizer) for row in block)


def transform(row: Work, stage: FimPlan, sentinels: Sentinels, tokenizer: Tokenizer) -> Made:
    """A row in the form that is drawn for it; rows of other domains stay as they are."""
    first = row.pieces[0]
    if first.domain not in stage.domains:
        return Made(row.ids, row.pieces, "plain", 0, 0)
    stream = generator(stage.seed, "data", "fim", first.document, str(first.byte_begin))
    infilled, suffix_first = stream.uniform(2).tolist()
    if infilled >= stage.rate:
        return Made(row.ids, row.pieces, "plain", 0, 0)
    form: Literal["psm", "spm"] = "spm" if suffix_first < stage.spm else "psm"
    line = _Line(stage.row_tokens, sentinels.pad)
    for piece in row.pieces:
        _infill(piece, row.ids, form, stream, sentinels, tokenizer, line)
    return Made(line.ids(), tuple(line.pieces), form, line.padding, line.left_out)


def _infill(
    piece: Piece,
    ids: Ids,
    form: Literal["psm", "spm"],
    stream: Stream,
    sentinels: Sentinels,
    tokenizer: Tokenizer,
    line: "_Line",
) -> None:
    """Adds one piece in its form, cut at two characters; a piece that is only the end of its document is left out."""
    spelt = tokenizer.decode(ids[piece.first : piece.first + piece.tokens - piece.separators])
    data = spelt[len(spelt) - (piece.byte_end - piece.byte_begin) :]  # without what the tokenizer sets before a text
    begin, text = _characters(data)
    line.left_out += len(data) - len(text.encode())
    if not text:
        return
    one, other = sorted(int(value * (len(text) + 1)) for value in stream.uniform(2).tolist())
    starts = [piece.byte_begin + begin + len(text[:place].encode()) for place in (0, one, other)]
    prefix, middle, suffix = (
        (part, start) for part, start in zip((text[:one], text[one:other], text[other:]), starts, strict=True)
    )
    parts: tuple[tuple[int | None, tuple[str, int] | None], ...]
    match form:
        case "psm":
            parts = ((sentinels.prefix, prefix), (sentinels.suffix, suffix), (sentinels.middle, middle))
        case "spm":
            parts = ((sentinels.prefix, None), (sentinels.suffix, suffix), (sentinels.middle, prefix), (None, middle))
        case _:
            assert_never(form)
    for number, (sentinel, part) in enumerate(parts):
        if sentinel is not None:
            line.sentinel(sentinel)
        if part is not None:
            last = piece.separators if number == len(parts) - 1 else 0
            line.part(piece, *part, tokenizer, last)


def _characters(data: bytes) -> tuple[int, str]:
    """Where the first whole character begins, and all whole ones: a row may begin and end inside of one."""
    begin = 0
    while begin < min(3, len(data)) and data[begin] & 0xC0 == 0x80:
        begin += 1
    for end in range(len(data), max(begin, len(data) - 4), -1):
        try:
            return begin, data[begin:end].decode()
        except UnicodeDecodeError:
            continue
    return begin, ""


@final
class _Line:
    """A row being filled; what comes after it is full is left out."""

    def __init__(self, row_tokens: int, pad: int) -> None:
        self.pieces: list[Piece] = []
        self.left_out = 0
        self._size, self._pad = row_tokens, pad
        self._parts: list[Ids] = []
        self._used = 0

    @property
    def padding(self) -> int:
        """Pad ids that are missing to a whole row."""
        return self._size - self._used

    def sentinel(self, number: int) -> None:
        self._put(np.array([number], np.int32))

    def part(self, piece: Piece, text: str, byte_begin: int, tokenizer: Tokenizer, separators: int) -> None:
        """A part of a piece; its last one brings the end of the document."""
        try:
            ids, ends = tokenizer.encode(text)
        except Irreversible:
            self.left_out += len(text.encode())
            return
        room = self.padding
        first, kept = self._used, min(len(ids), room)
        end = int(ends[kept - 1]) if kept else 0
        self.left_out += len(text.encode()) - end
        last = min(separators, room - kept) if kept == len(ids) else 0
        self._put(np.concatenate([ids[:kept], np.full(last, tokenizer.end_id, np.int32)]))
        if kept + last:
            told = (piece.document, piece.domain, byte_begin, byte_begin + end, first, kept + last, last)
            self.pieces.append(Piece(*told))

    def ids(self) -> Ids:
        """The whole row."""
        return np.concatenate([*self._parts, np.full(self.padding, self._pad, np.int32)])

    def _put(self, ids: Ids) -> None:
        taken = ids[: self.padding]
        self._parts.append(taken)
        self._used += len(taken)


@final
class _Tally:
    """Rows by domain and form, and what padding and cutting cost."""

    def __init__(self) -> None:
        self._forms: dict[str, dict[str, int]] = {}
        self._padding = self._left_out = 0

    def add(self, domain: str, made: Made) -> None:
        self._forms.setdefault(domain, {"plain": 0, "psm": 0, "spm": 0})[made.form] += 1
        self._padding += made.padding
        self._left_out += made.left_out

    def metrics(self, positions: int) -> dict[str, JsonValue]:
        """`forms` counts stored rows."""
        forms: dict[str, JsonValue] = {
            domain: dict(sorted(counts.items())) for domain, counts in sorted(self._forms.items())
        }
        return {"positions": positions, "forms": forms, "padding": self._padding, "left_out_bytes": self._left_out}
