"""Exact Jaccard similarity of pairs of documents, whose shingles are made again from the texts.

For each run of pairs the sets of the first documents go to files; then every partition makes the sets of the others
and holds them against the files, memory-mapped. Memory is one partition for each worker.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import final

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from engine.artifacts.placement import Placement
from engine.artifacts.progress import progress
from engine.artifacts.read import Input
from engine.data.dedup.buckets import Buckets, Numbers, Records, buckets_for, chunks, disk_array
from engine.data.dedup.clusters import Components, key_record, key_records, stars
from engine.data.dedup.keep import Ranking
from engine.data.dedup.shingles import jaccard, shingle_hashes
from engine.data.dedup.spec import Shingle
from engine.data.partitions import Partition, partitions, read_partition
from engine.data.pool import in_order

PAIR = np.dtype([("position", "<i8"), ("other", "<i8"), ("best", "<i8"), ("band", "<i8")])  # position of `other`
PLACE = np.dtype([("piece", "<i8"), ("begin", "<i8"), ("length", "<i8")])  # of a set in the files
KNOWN = np.dtype([("best", "<i8"), ("value", "<f8")])

Values = npt.NDArray[np.float64]


@final
class Similarities:
    """What is known of the similarity of documents to those before them; `bytes` is what went to the disk."""

    def __init__(
        self, documents: Input, shingle: Shingle, ranking: Ranking, folder: Path, placement: Placement
    ) -> None:
        self._shingle, self._ranking, self._folder, self._placement = shingle, ranking, folder, placement
        self._pieces = partitions(documents, placement)
        rows = len(ranking.number)
        self._wanted = disk_array(folder / "wanted", np.bool_, rows)
        self._places = disk_array(folder / "places", PLACE, rows)
        self._known = disk_array(folder / "known", KNOWN, rows)
        self.bytes = self._wanted.nbytes + self._places.nbytes + self._known.nbytes
        for run in chunks(rows):
            self._known["best"][run] = -1

    def connect(
        self, components: Components, pairs: Iterable[tuple[int, Numbers, Numbers]], least: float
    ) -> dict[str, JsonValue]:
        """Joins the pairs (band, first, other) whose similarity is at least `least`.

        The others of a band that failed are paired anew with the first of them, until none is left.
        """
        compared = failed = 0
        while True:
            buckets = self._by_position(pairs)
            if not buckets.records:
                return {"pairs": compared, "pairs_below": failed}
            again = _Again(self._folder, buckets.count)
            for found, values in self._measured(self._of_pieces(buckets)):
                near = values >= least
                components.join(found["best"][near], found["other"][near])
                self._note(found[near], values[near])
                again.add(found[~near])
            compared, failed = compared + buckets.records, failed + again.buckets.records
            pairs = again.pairs()
            self.bytes += buckets.bytes + again.buckets.bytes

    def to_roots(self, first: Numbers, root: Numbers) -> Values:
        """By number the similarity to the root, of each document that is the first of its text and no root."""
        for run in chunks(len(root)):
            numbers = np.arange(run.start, run.stop)
            asked = (first[run] == numbers) & (root[run] != numbers) & (self._known["best"][run] != root[run])
            self._wanted[root[run][asked]] = True
        for found, values in self._measured(self._open_pairs(first, root)):
            self._known["best"][found["other"]] = found["best"]
            self._known["value"][found["other"]] = values
        similarity: Values = self._known["value"]
        return similarity

    def _by_position(self, pairs: Iterable[tuple[int, Numbers, Numbers]]) -> Buckets:
        """The pairs by where their `other` stands; the first ones are wanted."""
        count = buckets_for(len(self._ranking.number), 4 * PAIR.itemsize)
        buckets = Buckets(self._folder, "pairs", PAIR, count)
        for band, best, other in pairs:
            records = np.empty(len(best), PAIR)
            records["position"], records["band"] = self._ranking.position[other], band
            records["best"], records["other"] = best, other
            buckets.add(records["position"] // self._run(count), records)
            self._wanted[best] = True
        return buckets

    def _run(self, count: int) -> int:
        """Positions in one of `count` buckets."""
        return max(-(-len(self._ranking.number) // count), 1)

    def _of_pieces(self, buckets: Buckets) -> Iterator[tuple[Partition, Records]]:
        held, bucket = np.empty(0, PAIR), 0
        for piece in self._pieces:
            while bucket < buckets.count and bucket * self._run(buckets.count) < _end(piece):
                found = buckets.take(bucket)
                held = np.concatenate([held, found[np.argsort(found["position"], kind="stable")]])
                bucket += 1
            cut = np.searchsorted(held["position"], _end(piece))
            yield piece, held[:cut]
            held = held[cut:]

    def _open_pairs(self, first: Numbers, root: Numbers) -> Iterator[tuple[Partition, Records]]:
        """The documents whose similarity to their root is not known yet."""
        for piece in self._pieces:
            positions = np.arange(piece.first, _end(piece))
            numbers = self._ranking.number[piece.first : _end(piece)]
            roots = root[numbers]
            asked = (first[numbers] == numbers) & (roots != numbers) & (self._known["best"][numbers] != roots)
            records = np.zeros(int(asked.sum()), PAIR)
            records["position"], records["other"], records["best"] = positions[asked], numbers[asked], roots[asked]
            yield piece, records

    def _note(self, pairs: Records, values: Values) -> None:
        """Remembers the similarity of each document to the smallest that it was joined to: most often its root."""
        order = np.lexsort((pairs["best"], pairs["other"]))
        pairs, values = pairs[order], values[order]
        first = np.flatnonzero(np.diff(pairs["other"], prepend=-1))
        pairs, values = pairs[first], values[first]
        before = self._known["best"][pairs["other"]]
        new = (before < 0) | (pairs["best"] < before)
        self._known["best"][pairs["other"][new]] = pairs["best"][new]
        self._known["value"][pairs["other"][new]] = values[new]

    def _measured(self, pairs: Iterator[tuple[Partition, Records]]) -> Iterator[tuple[Records, Values]]:
        """Pairs of each partition and their similarities; the sets of their first documents are made before."""
        sets = self._folder / "sets"
        sets.mkdir()
        self._write_sets(sets)
        work = (_work(piece, found, self._places) for piece, found in pairs if len(found))
        with closing(in_order(partial(_compare, self._shingle, sets), work, self._placement)) as done:
            for (found, same), values in done:
                yield found, values[same]
        for path in sets.iterdir():
            path.unlink()
        sets.rmdir()

    def _write_sets(self, sets: Path) -> None:
        written = in_order(partial(_write_sets, self._shingle, sets), self._wanted_rows(), self._placement)
        for (index, numbers), lengths in progress(written, None, "parts", "shingles"):
            places = np.empty(len(numbers), PLACE)
            places["piece"], places["begin"], places["length"] = index, np.cumsum(lengths) - lengths, lengths
            self._places[numbers] = places
            self._wanted[numbers] = False
            self.bytes += 8 * int(lengths.sum())

    def _wanted_rows(self) -> "Iterator[tuple[tuple[int, Numbers], _Sets]]":
        for index, piece in enumerate(self._pieces):
            numbers = self._ranking.number[piece.first : _end(piece)]
            rows = np.flatnonzero(self._wanted[numbers])
            if len(rows):
                yield (index, numbers[rows]), _Sets(piece, rows, index)


@final
@dataclass(frozen=True, slots=True)
class _Sets:
    """Work: the shingles of some rows of a partition, into a file."""

    piece: Partition
    rows: Numbers
    index: int


@final
@dataclass(frozen=True, slots=True)
class _Pairs:
    """Work: rows[i] of a partition against the set at places[i]; rows rise."""

    piece: Partition
    rows: Numbers
    places: Records


@final
class _Again:
    """Pairs that failed, to be paired anew: (band, first) tells the group that they were in."""

    def __init__(self, folder: Path, count: int) -> None:
        self.buckets = Buckets(folder, "again", key_record(2), count)

    def add(self, failed: Records) -> None:
        self.buckets.add(
            failed["best"] % self.buckets.count, key_records((failed["best"], failed["band"]), failed["other"])
        )

    def pairs(self) -> Iterator[tuple[int, Numbers, Numbers]]:
        for bucket in range(self.buckets.count):
            records = self.buckets.take(bucket)
            for band in np.unique(records["key"][:, 1]).tolist():
                group = records[records["key"][:, 1] == band]
                yield band, *stars(group["key"], group["number"])


def _work(piece: Partition, pairs: Records, places: Records) -> tuple[tuple[Records, Numbers], _Pairs]:
    """Each pair of a partition once, however many bands it shares; and where each of all pairs is among them."""
    order = np.lexsort((pairs["best"], pairs["position"]))
    pairs = pairs[order]
    new = np.ones(len(pairs), bool)
    new[1:] = (np.diff(pairs["position"]) != 0) | (np.diff(pairs["best"]) != 0)
    once = pairs[new]
    work = _Pairs(piece, once["position"] - piece.first, np.array(places[once["best"]]))
    return (pairs, np.cumsum(new) - 1), work


def _write_sets(shingle: Shingle, sets: Path, work: _Sets) -> Numbers:
    """The number of shingles of each row."""
    found = [shingle_hashes(text, shingle) for text in _texts(work.piece, work.rows)]
    with (sets / f"{work.index:08x}").open("wb") as file:
        for values in found:
            file.write(values.tobytes())
    return np.array([len(values) for values in found], np.int64)


def _compare(shingle: Shingle, sets: Path, work: _Pairs) -> Values:
    """The similarity of each pair."""
    files: dict[int, npt.NDArray[np.uint64]] = {}
    rows, starts = np.unique(work.rows, return_index=True)
    found = np.empty(len(work.rows))
    for text, pairs in zip(_texts(work.piece, rows), np.split(np.arange(len(work.rows)), starts[1:]), strict=True):
        ours = shingle_hashes(text, shingle)
        for pair in pairs.tolist():
            found[pair] = jaccard(ours, _set(files, sets, work.places[pair]))
    return found


def _set(files: dict[int, npt.NDArray[np.uint64]], sets: Path, place: np.void) -> npt.NDArray[np.uint64]:
    piece, begin, length = place.tolist()
    if not length:
        return np.empty(0, np.uint64)
    if piece not in files:
        files[piece] = np.memmap(sets / f"{piece:08x}", np.uint64, "r")
    return files[piece][begin : begin + length]


def _texts(piece: Partition, rows: Numbers) -> Iterator[str]:
    """The texts of some rows of a partition."""
    for text in read_partition(piece, ("text",)).column("text").take(rows):
        yield text.as_py()


def _end(piece: Partition) -> int:
    return piece.first + piece.end - piece.begin
