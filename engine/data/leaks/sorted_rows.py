"""Rows of 64-bit words in sorted order, found by their words; on disk they are one file a column, memory-mapped."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self, final

import numpy as np

from engine.data.dedup.buckets import Numbers, Words


@final
class SortedRows:
    """`columns` are words of equal number, sorted by the first, then the second, and so on."""

    def __init__(self, columns: Sequence[Words]) -> None:
        self.columns = tuple(columns)

    @classmethod
    def open(cls, folder: Path, columns: int) -> Self:
        """What `save` wrote."""
        return cls([np.asarray(np.memmap(folder / f"key{n}", np.uint64, "r")) for n in range(columns)])

    def save(self, folder: Path) -> None:
        """Writes the columns; there must be a row."""
        for number, column in enumerate(self.columns):
            column.tofile(folder / f"key{number}")

    def places(self, wanted: Sequence[Words]) -> Numbers:
        """For each row of `wanted`, given by columns, the first place where it stands, or -1."""
        at = np.searchsorted(self.columns[0], wanted[0])
        found = np.full(len(at), -1)
        looking = np.arange(len(at))
        while len(looking):  # again for rows whose first word is that of another
            looking = looking[at[looking] < len(self.columns[0])]
            looking = looking[self.columns[0][at[looking]] == wanted[0][looking]]
            equal = np.ones(len(looking), bool)
            for ours, theirs in zip(self.columns[1:], wanted[1:], strict=True):
                equal &= ours[at[looking]] == theirs[looking]
            found[looking[equal]] = at[looking[equal]]
            looking = looking[~equal]
            at[looking] += 1
        return found

    def place(self, *words: int) -> int:
        """The first place of one row, or -1."""
        return int(self.places([np.array([word], np.uint64) for word in words])[0])


def order_of(columns: Sequence[Words]) -> Numbers:
    """The order that sorts rows given by columns; equal rows keep theirs."""
    return np.lexsort(tuple(reversed(columns)))
