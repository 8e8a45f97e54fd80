"""Documents to rows of token ids in training order, each row with its provenance: encode, cut, deal, shuffle.

Everything streams: rows are written as they are cut, domain by domain, and the training order chunk by chunk. Memory
is some batches of text, and for the order the rows of one chunk.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never, final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import JsonValue

from engine.artifacts.draft import ArrayWriter, Draft
from engine.artifacts.placement import Placement
from engine.artifacts.progress import progress
from engine.artifacts.read import Input, Inputs, read_table
from engine.artifacts.table import TableWriter
from engine.data.cut import Cut, Cutter
from engine.data.deal import Deck, slots_of
from engine.data.documents import COLUMNS, Document, Drops, documents_of
from engine.data.encode import Batch, Encoded, encode
from engine.data.lookup import find
from engine.data.mix.spec import Deal, Sample
from engine.data.provenance import SCHEMA
from engine.data.spec import PackPlan
from engine.data.tokenizer import read_info
from engine.spec.errors import ArtifactError, Problem, SpecError
from engine.spec.philox import generator


def pack(stage: PackPlan, inputs: Inputs, out: Draft, placement: Placement) -> dict[str, JsonValue]:
    """Writes and closes `rows`, `provenance` and `dropped`; gives the metrics."""
    documents, tokenizer = inputs.one(stage.documents), inputs.one(stage.tokenizer)
    _refuse_vocabulary(stage, tokenizer)
    match stage.mix:
        case Deal():
            return pack_dealt(stage, stage.mix, documents, tokenizer, out, placement)
        case Sample():
            from engine.data.mix.sample import pack_sampled

            return pack_sampled(stage, stage.mix, inputs, out, placement)
        case _:
            assert_never(stage.mix)


def pack_dealt(
    stage: PackPlan, mix: Deal, documents: Input, tokenizer: Input, out: Draft, placement: Placement
) -> dict[str, JsonValue]:
    """The rows of each domain dealt to the chunks."""
    slots = _slots(mix, domains_of(documents))
    ids = out.array("rows", "ids", ids_dtype(stage.vocabulary), (stage.row_tokens,))
    with ids, out.table("provenance", SCHEMA) as provenance, Drops(out) as drops:
        dealer = _Dealer(stage, mix.chunks, slots, ids, provenance)
        stream = documents_by_domain(documents, tuple(slots))
        for batch, encoded in encode(stream, tokenizer.folder, tokenizer.digest, placement):
            dealer.add(batch[0].domain, *survivors(batch, encoded, drops))
        dealer.end()
    _refuse_small(stage, dealer.packed)
    mixed = write_order(mix, stage.seed, tuple(packed.deck for packed in dealer.packed), out)
    out.close("rows")
    out.close("provenance")
    return {**_metrics(dealer.packed), **mixed, **drops.metrics()}


def ids_dtype(vocabulary: int) -> np.dtype[np.uint16] | np.dtype[np.uint32]:
    """The type of the stored ids."""
    return np.dtype(np.uint16) if vocabulary < 1 << 16 else np.dtype(np.uint32)


def write_order(mix: Deal, seed: int, decks: tuple[Deck, ...], out: Draft) -> dict[str, JsonValue]:
    """The order of training: chunk after chunk, the rows of each shuffled by a stream named after it."""
    counts = np.zeros((mix.chunks, len(decks)), np.int64)
    with out.array("rows", "order", np.dtype(np.int64), ()) as order:
        for chunk in progress(range(mix.chunks), mix.chunks, "chunks", "order"):
            parts = [deck.chunk(chunk) for deck in decks]
            counts[chunk] = [len(part) for part in parts]
            rows = np.concatenate(parts)
            order.write(rows[generator(seed, "data", "order", f"chunk-{chunk}").permutation(len(rows))])
    with out.array("rows", "chunks", np.dtype(np.int64), ()) as chunks:
        chunks.write(np.concatenate([np.zeros(1, np.int64), np.cumsum(counts.sum(axis=1))]))
    return _mix(mix, [deck.domain for deck in decks], counts)


@final
@dataclass(slots=True)
class _Packed:
    """What became of one domain."""

    deck: Deck
    tokens: int = 0  # end ids counted
    bytes: int = 0  # of text that was encoded
    tail_tokens: int = 0


@final
class _Dealer:
    """Rows and provenance, written as they are cut, one domain after the other."""

    def __init__(
        self, stage: PackPlan, chunks: int, slots: dict[str, int], ids: ArrayWriter, provenance: TableWriter
    ) -> None:
        self.packed: list[_Packed] = []
        self._chunks, self._slots, self._ids, self._provenance = chunks, slots, ids, provenance
        self._row_tokens = stage.row_tokens
        self._dtype = ids_dtype(stage.vocabulary)
        self._cutter = Cutter(self._row_tokens)

    def add(self, domain: str, documents: list[str], encoded: Encoded) -> None:
        """Documents of a domain, which comes after all domains before it."""
        if not self.packed or self.packed[-1].deck.domain != domain:
            self.end()
            self.packed.append(_Packed(self._deck(domain)))
            self._cutter = Cutter(self._row_tokens)
        packed = self.packed[-1]
        packed.tokens += len(encoded.ids)
        packed.bytes += int(encoded.ends[np.cumsum(encoded.tokens) - 1].sum())
        cut = self._cutter.push(documents, encoded)
        first = packed.deck.base + packed.deck.stored
        packed.deck, taken = packed.deck.more(len(cut.ids))
        self._ids.write(cut.ids[taken].astype(self._dtype))
        self._provenance.write(segments(cut, taken, first, domain))

    def end(self) -> None:
        """The domain is complete; what is left of its stream is no row."""
        if self.packed:
            self.packed[-1].tail_tokens = self._cutter.held_tokens

    def _deck(self, domain: str) -> Deck:
        if not self.packed:
            return Deck(domain, self._chunks, self._slots[domain], start=0, rows=0, base=0)
        return self.packed[-1].deck.next(domain, self._slots[domain])


def segments(cut: Cut, taken: npt.NDArray[np.bool_], first: int, domain: str) -> pa.RecordBatch:
    """The segments of the rows that are stored; the first of these rows gets the number `first`."""
    kept = taken[cut.row]
    number = first + np.cumsum(taken) - 1
    columns = [
        pa.array(number[cut.row[kept]]),
        pa.array(cut.segment[kept].astype(np.int32)),
        pa.array(cut.documents, pa.string()).take(pa.array(cut.document[kept])),
        pa.repeat(pa.scalar(domain), int(kept.sum())),
        pa.array(cut.byte_begin[kept]),
        pa.array(cut.byte_end[kept]),
        *(pa.array(column[kept].astype(np.int32)) for column in (cut.first, cut.tokens, cut.separators)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def survivors(batch: Batch, encoded: Encoded, drops: Drops) -> tuple[list[str], Encoded]:
    """The documents that have ids; the others are dropped, with the reason."""
    lost = encoded.tokens == 0
    for number in np.flatnonzero(lost).tolist():
        drops.add(batch[number], "irreversible")
    ids = [document.id for document, gone in zip(batch, lost.tolist(), strict=True) if not gone]
    return ids, encoded._replace(tokens=encoded.tokens[~lost])


def domains_of(documents: Input) -> tuple[str, ...]:
    """The domains that the documents have, sorted. ArtifactError when there is no document."""
    found: set[str] = set()
    for batch in read_table(documents.folder, ["domain"]):
        found.update(pc.unique(batch.column("domain")).to_pylist())
    if not found:
        raise ArtifactError(f"{documents.run}@{documents.output} holds no document, so there is nothing to pack")
    return tuple(sorted(found))


def documents_by_domain(documents: Input, domains: tuple[str, ...]) -> Iterator[Document]:
    """All documents, one domain after the other; row groups without the domain are not read."""
    parts = documents.manifest.outputs[documents.output].parts.values()
    total = sum(part.rows for part in parts if part.kind == "table")
    tables = (table for domain in domains for table in find(documents.folder, "domain", {domain}, COLUMNS))
    found = (document for table in tables for batch in table.to_batches() for document in documents_of(batch))
    return progress(found, total, "documents", "packing")


def _slots(mix: Deal, domains: tuple[str, ...]) -> dict[str, int]:
    """Slots by domain, in the order of the domains; all that is wrong with the repeats at once."""
    chunks, repeats = mix.chunks, mix.repeats
    unknown = [domain for domain in sorted(repeats) if domain not in domains]
    if unknown:
        raise ArtifactError(
            f"mix.repeats names {', '.join(unknown)}, which no document has; the documents have {', '.join(domains)}"
        )
    slots = {domain: slots_of(chunks, repeats.get(domain, 1.0)) for domain in domains}
    problems = [
        Problem(f"{repeats[domain]:g} is more than there are chunks ({chunks})", f"mix.repeats.{domain}")
        for domain, count in slots.items()
        if count == 0
    ]
    if problems:
        raise SpecError(*problems)
    return slots


def _refuse_vocabulary(stage: PackPlan, tokenizer: Input) -> None:
    found = read_info(tokenizer.folder)
    if (found.kind, found.vocabulary) != (stage.tokenizer_kind, stage.vocabulary):
        told = f"{stage.tokenizer_kind} of {stage.vocabulary} ids"
        raise ArtifactError(
            f"{tokenizer.run} is {found.kind} of {found.vocabulary} ids, the plan says {told}; build it again"
        )


def _refuse_small(stage: PackPlan, packed: list[_Packed]) -> None:
    """A domain without a row would vanish from the mix without a word."""
    empty = [item for item in packed if not item.deck.rows]
    if empty:
        found = ", ".join(f"{item.deck.domain} ({item.tokens} tokens)" for item in empty)
        raise ArtifactError(
            f"too small for one row of {stage.row_tokens} tokens: {found}; "
            "add documents to it, leave its sources out, or lower row_tokens"
        )
    if not any(item.deck.stored for item in packed):
        raise ArtifactError("the repeats leave no row in any chunk; raise them or add documents")


def _metrics(packed: list[_Packed]) -> dict[str, JsonValue]:
    return {
        "tokens": {item.deck.domain: item.tokens for item in packed},
        "bytes": {item.deck.domain: item.bytes for item in packed},
        "rows": {item.deck.domain: item.deck.stored for item in packed},
        "rows_in_no_chunk": {item.deck.domain: item.deck.rows - item.deck.stored for item in packed},
        "tail_tokens": {item.deck.domain: item.tail_tokens for item in packed},
    }


def _mix(mix: Deal, domains: list[str], counts: npt.NDArray[np.int64]) -> dict[str, JsonValue]:
    """The mix as declared and as it came out; counts [chunks, domains]."""
    sizes, total = counts.sum(axis=1), int(counts.sum())
    share = counts.sum(axis=0) / total
    off = np.abs(counts[sizes > 0] / sizes[sizes > 0, None] - share)
    return {
        "positions": total,
        "repeats": {domain: float(mix.repeats.get(domain, 1.0)) for domain in domains},
        "positions_of": dict(zip(domains, counts.sum(axis=0).tolist(), strict=True)),
        "share": dict(zip(domains, share.tolist(), strict=True)),
        "share_off_in_a_chunk": float(off.max()),
        "chunk_rows": {"least": int(sizes.min()), "most": int(sizes.max())},
    }
