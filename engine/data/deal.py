"""Rows dealt round-robin to chunks as in K2's gather.py: a repeat is a smaller number of slots.

With C chunks and repeat r a domain has P = int(C / r) slots. Its rows go to slots s, s + 1, ... mod P, where s is where
the domain before stopped, mod P. Chunk t takes slot t mod P. So, for r that divides C, every row stands in r chunks,
C / r apart; for r < 1 only the first C of P slots are ever taken, and the other rows are dropped.

A repeat that does not divide C keeps its mean only roughly, since int() cuts and chunks wrap round the slots: r = 1.5
of 36 chunks has 24 slots, of which the first 12 are taken twice and the others once; r = 5 has 7 slots, the first
taken six times and the others five (5.14 on average).
"""

from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


def slots_of(chunks: int, repeat: float) -> int:
    """P = int(C / r); 0 when the repeat is larger than the number of chunks."""
    return int(chunks / repeat)


@final
@dataclass(frozen=True, slots=True)
class Deck:
    """The rows of one domain, dealt. Rows that no chunk takes are not stored; `base` is the first stored row."""

    domain: str
    chunks: int
    slots: int
    start: int  # slot of row 0
    rows: int  # dealt so far, taken or not
    base: int

    def more(self, rows: int) -> tuple["Deck", npt.NDArray[np.bool_]]:
        """The deck with so many rows more, and which of these some chunk takes."""
        slot = (self.start + np.arange(self.rows, self.rows + rows)) % self.slots
        deck = Deck(self.domain, self.chunks, self.slots, self.start, self.rows + rows, self.base)
        return deck, slot < self.chunks

    def next(self, domain: str, slots: int) -> "Deck":
        """The empty deck of the domain after this one: the counter carries on."""
        start = (self.start + self.rows) % self.slots % slots
        return Deck(domain, self.chunks, slots, start, 0, self.base + self.stored)

    @property
    def stored(self) -> int:
        """Rows that some chunk takes."""
        return self.rows - int(self._untaken_before(np.array(self.rows)))

    def chunk(self, chunk: int) -> Rows:
        """The stored rows that a chunk takes, in their order."""
        first = (chunk % self.slots - self.start) % self.slots
        row = np.arange(first, self.rows, self.slots, dtype=np.int64)
        return self.base + row - self._untaken_before(row)

    def _untaken_before(self, row: Rows) -> Rows:
        """How many rows before `row` went to slots that no chunk takes."""
        untaken = max(self.slots - self.chunks, 0)
        at = self.start + row
        full = at // self.slots * untaken + np.maximum(at % self.slots - self.chunks, 0)
        return np.asarray(full - max(self.start - self.chunks, 0), dtype=np.int64)
