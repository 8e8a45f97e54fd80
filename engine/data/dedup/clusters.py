"""Clusters of documents that are numbered by the keep rule: equal keys make stars, stars make connected components.

In a star and in a component alike the smallest number stands for all.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from engine.data.dedup.buckets import (
    Buckets,
    Numbers,
    Records,
    Words,
    buckets_for,
    chunks,
    disk_array,
    leading,
)
from engine.data.dedup.entries import Entries
from engine.data.dedup.keep import Ranking


@final
@dataclass(frozen=True, slots=True)
class Clustering:
    """What a method found, by number. A document stays when `root` is its own number.

    `twin` is the first document of the same text; `similarity` of a document that is its own twin is to its root.
    """

    entries: Entries
    ranking: Ranking
    twin: Numbers
    root: Numbers
    similarity: npt.NDArray[np.float64] | None  # None where all duplicates are exact
    texts: Words | None  # by position [documents, 4]: the digests that an index was made of
    metrics: dict[str, JsonValue]
    bytes: int  # on disk


@final
class Components:
    """Union-find over the numbers 0 to rows - 1 in an array on disk; the root of a component is its smallest number."""

    def __init__(self, path: Path, rows: int) -> None:
        self.parent: Numbers = disk_array(path, np.int64, rows)
        for run in chunks(rows):
            self.parent[run] = np.arange(run.start, run.stop)

    def roots(self, numbers: Numbers) -> Numbers:
        """The root of each number; what was passed on the way points to it afterwards."""
        found = self.parent[numbers]
        while (moved := self.parent[found] != found).any():
            found[moved] = self.parent[found[moved]]
        self.parent[numbers] = found
        return found

    def join(self, left: Numbers, right: Numbers) -> None:
        """Connects left[i] with right[i], for all i at once.

        Every root that meets a smaller one is hung below the smallest that it meets, until no pair has two roots.
        """
        while len(left):
            ours, theirs = self.roots(left), self.roots(right)
            low, high = np.minimum(ours, theirs), np.maximum(ours, theirs)
            apart = low != high
            low, high = low[apart], high[apart]
            order = np.lexsort((low, high))
            low, high = low[order], high[order]
            first = np.flatnonzero(np.diff(high, prepend=-1))
            self.parent[high[first]] = low[first]
            left, right = low, high

    def flatten(self, first: Numbers) -> None:
        """Makes every number's parent the root of first[number], which is not above it."""
        for run in chunks(len(self.parent)):
            self.parent[run] = self.roots(first[run])


def stars(keys: Words, numbers: Numbers) -> tuple[Numbers, Numbers]:
    """Of the rows of each key that stands more than once, the smallest number beside each of the others.

    `keys` [rows, words] are looked at in full only where their first word stands twice.
    """
    some = _repeated(keys[:, 0])
    some = some[np.lexsort((numbers[some], *(keys[some, word] for word in reversed(range(keys.shape[1])))))]
    new = np.ones(len(some), bool)
    new[1:] = (keys[some[1:]] != keys[some[:-1]]).any(axis=1)
    best = numbers[some[new]][np.cumsum(new) - 1]
    return best[~new], numbers[some[~new]]


def _repeated(words: Words) -> Numbers:
    """Where words stand that stand more than once."""
    order = np.argsort(words)
    equal = np.diff(words[order]) == 0
    return order[np.concatenate([equal, [False]]) | np.concatenate([[False], equal])] if len(words) else order


def key_record(words: int) -> np.dtype[np.void]:
    """A key of so many words beside a number."""
    return np.dtype([("key", "<u8", (words,)), ("number", "<i8")])


def key_records(keys: Iterable[Words], numbers: Numbers) -> Records:
    """Records whose keys are columns side by side."""
    columns = np.column_stack([np.asarray(column, np.uint64) for column in keys])
    found = np.empty(len(numbers), key_record(columns.shape[1]))
    found["key"], found["number"] = columns, numbers
    return found


def twins(entries: Entries, ranking: Ranking, local: bool, folder: Path) -> tuple[Numbers, int]:
    """For each number the first document of the same text, in its domain if `local`; and the bytes on disk."""
    words = 5 if local else 4
    record = key_record(words)
    buckets = Buckets(folder, "texts", record, buckets_for(entries.rows, 2 * record.itemsize))
    for found in entries.sorted():
        columns = [found["text"][:, word] for word in range(4)] + ([found["domain"]] if local else [])
        records = key_records(columns, ranking.number[found["position"]])
        buckets.add(leading(records["key"][:, 0], buckets.count), records)
    first: Numbers = disk_array(folder / "twins", np.int64, entries.rows)
    for run in chunks(entries.rows):
        first[run] = np.arange(run.start, run.stop)
    for bucket in range(buckets.count):
        records = buckets.take(bucket)
        best, other = stars(records["key"], records["number"])
        first[other] = best
    return first, buckets.bytes + first.nbytes
