"""Documents numbered by the keep rule: of any two, the one with the smaller number stays.

The numbers are a function of content alone, so what is decided by them does not depend on the order of the documents.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, assert_never, final

import numpy as np
import numpy.typing as npt

from engine.data.dedup.buckets import Buckets, Numbers, Records, Words, buckets_for, disk_array, leading
from engine.data.dedup.entries import ENTRY, Entries

Then = Literal["document_id", "text_digest"]


@final
@dataclass(frozen=True, slots=True)
class Ranking:
    """Arrays on disk, one value a document: `number` by position, the others by number."""

    number: Numbers
    position: Numbers
    ids: Words  # [documents, 2]
    domain: npt.NDArray[np.int32]
    source: npt.NDArray[np.int32]
    bytes: int  # on disk


def rank(entries: Entries, then: Then, folder: Path) -> Ranking:
    """Numbers by (rank, then): one sorted bucket at a time, each rank of it at the place that the counts give."""
    count = buckets_for(entries.rows, 2 * ENTRY.itemsize)
    buckets = Buckets(folder, "order", ENTRY, count)
    sizes = np.zeros((entries.ranks, count), np.int64)
    for found in entries.sorted():
        place = leading(_first(found, then), count)
        buckets.add(place, found)
        np.add.at(sizes, (found["rank"], place), 1)
    starts = (np.cumsum(sizes.ravel()) - sizes.ravel()).reshape(sizes.shape)
    ranking = _empty(entries.rows, folder, buckets.records * ENTRY.itemsize)
    for bucket in range(count):
        _put(ranking, _ordered(buckets.take(bucket), then), starts[:, bucket])
    return ranking


def _empty(rows: int, folder: Path, spilled: int) -> Ranking:
    arrays = (
        disk_array(folder / "number", np.int64, rows),
        disk_array(folder / "position", np.int64, rows),
        disk_array(folder / "ids", np.uint64, rows, 2),
        disk_array(folder / "domain", np.int32, rows),
        disk_array(folder / "source", np.int32, rows),
    )
    return Ranking(*arrays, bytes=spilled + sum(array.nbytes for array in arrays))


def _put(ranking: Ranking, entries: Records, starts: Numbers) -> None:
    ranks = entries["rank"]
    numbers = starts[ranks] + np.arange(len(ranks)) - np.searchsorted(ranks, ranks)
    ranking.number[entries["position"]] = numbers
    ranking.position[numbers] = entries["position"]
    ranking.ids[numbers] = entries["id"]
    ranking.domain[numbers] = entries["domain"]
    ranking.source[numbers] = entries["source"]


def _first(entries: Records, then: Then) -> Words:
    """The leading word of what comes after the rank."""
    words: Words = entries["id" if then == "document_id" else "text"][:, 0]
    return words


def _ordered(entries: Records, then: Then) -> Records:
    return entries[np.lexsort((*reversed(list(_keys(entries, then))), entries["rank"]))]


def _keys(entries: Records, then: Then) -> Iterator[Words]:
    match then:
        case "document_id":
            yield from (entries["id"][:, word] for word in range(2))
        case "text_digest":
            yield from (entries["text"][:, word] for word in range(4))
            yield from (entries["id"][:, word] for word in range(2))
        case _:
            assert_never(then)
