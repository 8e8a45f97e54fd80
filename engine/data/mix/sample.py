"""Documents to rows of which a sequence is drawn: all rows are cut into scratch, and those that are drawn are stored.

Memory is some batches of text, a block of the order, and one number for each row in a memory-mapped file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never, final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import JsonValue

from engine.artifacts.draft import Draft
from engine.artifacts.placement import Placement
from engine.artifacts.read import Input, Inputs
from engine.data.cut import Cutter
from engine.data.documents import Document, Drops
from engine.data.encode import Batch, Encoded, encode
from engine.data.mix.copies import copies
from engine.data.mix.draw import Pool, draw, shares_of_rows
from engine.data.mix.spec import ByCopies, ByWeight, Sample
from engine.data.pack import documents_by_domain, domains_of, ids_dtype, segments, survivors
from engine.data.provenance import SCHEMA
from engine.data.scratch import scratch_folder
from engine.data.sift import spill
from engine.data.spec import PackPlan
from engine.spec.errors import ArtifactError

BLOCK = 1 << 14  # rows copied at a time


def pack_sampled(
    stage: PackPlan, mix: Sample, inputs: Inputs, out: Draft, placement: Placement
) -> dict[str, JsonValue]:
    """Writes and closes `rows`, `provenance` and `dropped`; gives the metrics. ArtifactError for a mix that fails."""
    documents, tokenizer = inputs.one(stage.documents), inputs.one(stage.tokenizer)
    shares = _shares(mix, documents)
    with scratch_folder(out) as folder, Drops(out) as drops:
        cut = _Cutting(stage, folder)
        stream = _repeated(documents_by_domain(documents, tuple(shares)), mix, inputs)
        with cut:
            for batch, encoded in encode(stream, tokenizer.folder, tokenizer.digest, placement):
                cut.add(batch, *survivors(batch, encoded, drops))
        pools = _pools(mix, shares, cut)
        mixed = _write(stage, mix, pools, cut, out)
    return {**cut.metrics(), **mixed, **drops.metrics()}


def _shares(mix: Sample, documents: Input) -> dict[str, float]:
    """The share of every domain that is drawn from, sorted; ArtifactError for one that no document has."""
    known = domains_of(documents)
    match mix.weights:
        case ByWeight(recipe=recipe, recipes=recipes):
            shares = {domain: share for domain, share in sorted(recipes[recipe].items()) if share > 0}
            missing = [domain for domain in shares if domain not in known]
            if missing:
                raise ArtifactError(
                    f"mix.weights.recipes.{recipe} names {', '.join(missing)}, which no document of {documents.run} "
                    f"has; there are {', '.join(known)}"
                )
            return shares
        case ByCopies():
            return dict.fromkeys(known, 1.0)
        case _:
            assert_never(mix.weights)


def _repeated(stream: Iterator[Document], mix: Sample, inputs: Inputs) -> Iterator[Document]:
    """Each document as often as its weight says."""
    match mix.weights:
        case ByWeight():
            yield from stream
        case ByCopies(dropped=refs):
            more = copies([item for ref in refs for item in inputs.all(ref)])
            for document in stream:
                for _ in range(1 + more[document.id]):
                    yield document
        case _:
            assert_never(mix.weights)


@dataclass(slots=True)
class _Domain:
    """What became of one domain."""

    base: int
    documents: int = 0
    tokens: int = 0
    bytes: int = 0
    rows: int = 0
    tail_tokens: int = 0


@final
class _Cutting:
    """All rows of all domains, in scratch files: `ids`, and the provenance as record batches."""

    def __init__(self, stage: PackPlan, folder: Path) -> None:
        self.domains: dict[str, _Domain] = {}
        self._row_tokens, self._dtype, self._folder = stage.row_tokens, ids_dtype(stage.vocabulary), folder
        self._cutter = Cutter(stage.row_tokens)

    def __enter__(self) -> None:
        self._ids = (self._folder / "ids").open("wb")
        self._spill = spill(self._folder / "provenance", SCHEMA)
        self._provenance = self._spill.__enter__()

    def __exit__(self, *error: object) -> None:
        self._end()
        self._ids.close()
        self._spill.__exit__(None, None, None)

    def add(self, batch: Batch, documents: list[str], encoded: Encoded) -> None:
        """Documents of one domain, which comes after all domains before it."""
        name = batch[0].domain
        if name not in self.domains:
            self._end()
            self.domains[name] = _Domain(self.rows)
            self._cutter = Cutter(self._row_tokens)
        domain = self.domains[name]
        cut = self._cutter.push(documents, encoded)
        self._provenance.write_batch(segments(cut, np.ones(len(cut.ids), bool), self.rows, name))
        self._ids.write(cut.ids.astype(self._dtype).tobytes())
        domain.documents += len(documents)
        domain.tokens += len(encoded.ids)
        domain.bytes += int(encoded.ends[np.cumsum(encoded.tokens) - 1].sum())
        domain.rows += len(cut.ids)

    @property
    def rows(self) -> int:
        """Rows cut so far."""
        return sum(domain.rows for domain in self.domains.values())

    def ids(self) -> npt.NDArray[np.unsignedinteger]:
        """All rows, memory-mapped."""
        return np.memmap(self._folder / "ids", self._dtype, "r", shape=(self.rows, self._row_tokens))

    def places(self) -> npt.NDArray[np.int64]:
        """A number for each row, memory-mapped, zero at first."""
        return np.memmap(self._folder / "places", np.int64, "w+", shape=(self.rows,))

    def provenance(self) -> Iterator[pa.RecordBatch]:
        """The segments of all rows."""
        with pa.OSFile(str(self._folder / "provenance"), "rb") as file, pa.ipc.open_stream(file) as batches:
            yield from batches

    def metrics(self) -> dict[str, JsonValue]:
        """What there was to draw from, by domain."""
        return {
            "tokens": {name: domain.tokens for name, domain in self.domains.items()},
            "bytes": {name: domain.bytes for name, domain in self.domains.items()},
            "rows_cut": {name: domain.rows for name, domain in self.domains.items()},
            "tail_tokens": {name: domain.tail_tokens for name, domain in self.domains.items()},
        }

    def _end(self) -> None:
        if self.domains:
            self.domains[next(reversed(self.domains))].tail_tokens = self._cutter.held_tokens


def _pools(mix: Sample, shares: dict[str, float], cut: _Cutting) -> tuple[Pool, ...]:
    """What is drawn from; ArtifactError names every domain whose text fills no row."""
    rows = {name: cut.domains[name].rows if name in cut.domains else 0 for name in shares}
    empty = [
        f"{name} ({cut.domains[name].tokens if name in cut.domains else 0} tokens)" for name in shares if not rows[name]
    ]
    if empty:
        raise ArtifactError(
            f"too small for one row: {', '.join(empty)}; add documents, give the domain no share, or lower row_tokens"
        )
    match mix.weights:
        case ByWeight(unit=unit):
            documents = {name: cut.domains[name].documents for name in shares}
            of_rows = shares_of_rows(shares, unit, rows, documents)
        case ByCopies():
            of_rows = {name: count / cut.rows for name, count in rows.items()}
        case _:
            assert_never(mix.weights)
    return tuple(Pool(name, cut.domains[name].base, rows[name], of_rows[name]) for name in shares)


def _write(stage: PackPlan, mix: Sample, pools: tuple[Pool, ...], cut: _Cutting, out: Draft) -> dict[str, JsonValue]:
    """The drawn rows, once each in the order in which they were cut, and the order of training."""
    counts = np.zeros(len(pools), np.int64)
    places = cut.places()
    for rows, chosen in draw(pools, mix.rows, stage.seed):
        places[rows] = 1
        counts += np.bincount(chosen, minlength=len(pools))
    _refuse_repeats(mix, pools, counts)
    found = _mix(mix, pools, counts, [int(np.sum(places[pool.base : pool.base + pool.rows])) for pool in pools])
    _number(places)
    with out.array("rows", "ids", ids_dtype(stage.vocabulary), (stage.row_tokens,)) as ids:
        source = cut.ids()
        for begin in range(0, cut.rows, BLOCK):
            ids.write(np.asarray(source[begin : begin + BLOCK])[places[begin : begin + BLOCK] >= 0])
    with out.table("provenance", SCHEMA) as provenance:
        for batch in cut.provenance():
            provenance.write(_renumbered(batch, places))
    with out.array("rows", "order", np.dtype(np.int64), ()) as order:
        for rows, _ in draw(pools, mix.rows, stage.seed):
            order.write(np.asarray(places[rows]))
    with out.array("rows", "chunks", np.dtype(np.int64), ()) as chunks:
        chunks.write(np.array([0, mix.rows], np.int64))
    out.close("rows")
    out.close("provenance")
    return found


def _number(places: npt.NDArray[np.int64]) -> None:
    """Turns 1 and 0 into the numbers of the rows that are stored and -1, a block at a time."""
    stored = 0
    for begin in range(0, len(places), BLOCK):
        taken = np.asarray(places[begin : begin + BLOCK]) == 1
        places[begin : begin + BLOCK] = np.where(taken, stored + np.cumsum(taken) - 1, -1)
        stored += int(taken.sum())


def _renumbered(batch: pa.RecordBatch, places: npt.NDArray[np.int64]) -> pa.RecordBatch:
    """The segments of stored rows, under the numbers that these have."""
    numbers = np.asarray(places[batch.column("row").to_numpy()])
    kept = batch.filter(pa.array(numbers >= 0))
    return kept.set_column(0, SCHEMA.field("row"), pa.array(numbers[numbers >= 0]))


def _refuse_repeats(mix: Sample, pools: tuple[Pool, ...], counts: npt.NDArray[np.int64]) -> None:
    over = [
        f"{pool.domain} {count / pool.rows:.2f} times, more than {mix.most_repeats[pool.domain]:g}"
        for pool, count in zip(pools, counts.tolist(), strict=True)
        if pool.domain in mix.most_repeats and count > mix.most_repeats[pool.domain] * pool.rows
    ]
    if over:
        raise ArtifactError(
            f"{mix.rows} rows would show {', '.join(over)}; draw fewer rows, give the domain a smaller share, add "
            "documents to it, or raise mix.most_repeats"
        )


def _mix(
    mix: Sample, pools: tuple[Pool, ...], counts: npt.NDArray[np.int64], stored: list[int]
) -> dict[str, JsonValue]:
    """The mix as declared and as it came out; ArtifactError when they lie further apart than the tolerance."""
    names = [pool.domain for pool in pools]
    declared = [pool.share / sum(pool.share for pool in pools) for pool in pools]
    realised = (counts / mix.rows).tolist()
    off = max(abs(one - other) for one, other in zip(declared, realised, strict=True))
    if off > mix.tolerance:
        told = ", ".join(f"{n} {d:.4f} as {r:.4f}" for n, d, r in zip(names, declared, realised, strict=True))
        raise ArtifactError(
            f"the mix came out {off:.4f} from what is declared, more than the tolerance {mix.tolerance:g}: {told}; "
            "draw more rows, or raise mix.tolerance"
        )
    repeats = [count / pool.rows for pool, count in zip(pools, counts.tolist(), strict=True)]
    return {
        "positions": mix.rows,
        "positions_of": dict(zip(names, counts.tolist(), strict=True)),
        "rows": dict(zip(names, stored, strict=True)),
        "share": dict(zip(names, realised, strict=True)),
        "declared": dict(zip(names, declared, strict=True)),
        "share_off": off,
        "repeats": dict(zip(names, repeats, strict=True)),
    }
