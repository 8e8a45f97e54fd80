"""Token streams cut into rows of one length, with the document and the bytes behind every piece of a row.

The documents of a domain are one stream: ids, end id, ids, end id, ... A row is the next `row_tokens` of it, wherever
documents begin and end; what is left at the end of a domain is dropped.

A segment is a piece of one document in one row. Its bytes are those from where its first token begins to where its
last ends; the end id adds none, and a segment that is only the end id has the empty range at the document's end.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from engine.data.encode import Encoded

Int64 = npt.NDArray[np.int64]


@final
@dataclass(frozen=True, slots=True)
class Cut:
    """Whole rows, and their segments in order."""

    ids: npt.NDArray[np.int32]  # [rows, row_tokens]
    documents: list[str]  # ids of documents
    row: Int64  # [segments], from 0 in this cut
    segment: Int64  # from 0 in its row
    document: Int64  # index into `documents`
    byte_begin: Int64
    byte_end: Int64
    first: Int64  # index of its first token in the row
    tokens: Int64
    separators: Int64  # end ids among `tokens`: 0 or 1


@final
class Cutter:
    """The stream of one domain on its way into rows; holds less than one row between two pushes."""

    def __init__(self, row_tokens: int) -> None:
        self.row_tokens = row_tokens
        self._ids = np.empty(0, np.int32)
        self._ends = np.empty(0, np.int64)
        self._starts = np.empty(0, np.int64)  # where each held document begins; the first may have begun before
        self._documents: list[str] = []
        self._head = 0  # byte of its document at which the first held token begins

    @property
    def held_tokens(self) -> int:
        """Tokens that no row has yet: the tail, when the stream is at its end."""
        return len(self._ids)

    def push(self, documents: list[str], encoded: Encoded) -> Cut:
        """Appends documents, whose `encoded.tokens` are above zero, and cuts off all whole rows."""
        starts = len(self._ids) + np.cumsum(encoded.tokens) - encoded.tokens
        self._ids = np.concatenate([self._ids, encoded.ids])
        self._ends = np.concatenate([self._ends, encoded.ends])
        self._starts = np.concatenate([self._starts, starts])
        self._documents = self._documents + documents
        whole = len(self._ids) // self.row_tokens
        cut = self._segments(whole)
        self._forget(whole * self.row_tokens)
        return cut

    def _segments(self, rows: int) -> Cut:
        end = rows * self.row_tokens
        row_starts = np.arange(rows, dtype=np.int64) * self.row_tokens
        begin = np.union1d(row_starts, self._starts[self._starts < end])
        after = np.append(begin[1:], end)[: len(begin)]
        document = np.searchsorted(self._starts, begin, side="right") - 1
        row = begin // self.row_tokens
        return Cut(
            ids=self._ids[:end].reshape(rows, self.row_tokens),
            documents=self._documents,
            row=row,
            segment=np.arange(len(begin), dtype=np.int64) - np.searchsorted(row, row, side="left"),
            document=document,
            byte_begin=self._byte_begin(begin, document),
            byte_end=self._ends[after - 1],
            first=begin % self.row_tokens,
            tokens=after - begin,
            separators=(after == np.append(self._starts[1:], len(self._ids))[document]).astype(np.int64),
        )

    def _byte_begin(self, begin: Int64, document: Int64) -> Int64:
        """A token begins where the one before it ends, the first of a document at 0."""
        before = np.where(begin > 0, self._ends[begin - 1], 0)
        byte = np.where(self._starts[document] == begin, 0, before)
        byte[begin == 0] = self._head
        return byte

    def _forget(self, tokens: int) -> None:
        """Drops the first tokens, which are in rows now."""
        if tokens == len(self._ids):
            self._ids, self._ends, self._starts = self._ids[:0], self._ends[:0], self._starts[:0]
            self._documents, self._head = [], 0
            return
        first = int(np.searchsorted(self._starts, tokens, side="right")) - 1
        if tokens:
            self._head = 0 if self._starts[first] == tokens else int(self._ends[tokens - 1])
        self._ids, self._ends = self._ids[tokens:].copy(), self._ends[tokens:].copy()
        self._starts = np.maximum(self._starts[first:] - tokens, 0)
        self._documents = self._documents[first:]
