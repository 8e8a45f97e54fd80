"""The protected documents: their ids and the digests of their texts, in memory; texts are read again where wanted.

They are numbered by (id, digest), so that nothing depends on the order in which they come. A document that stands in
several inputs counts once; of documents with one text the first stands for all.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import final

import numpy as np

from engine.artifacts.read import Input, read_table
from engine.data.dedup.buckets import Numbers, Words
from engine.data.dedup.words import id_words, text_words
from engine.data.leaks.sorted_rows import SortedRows, order_of
from engine.spec.errors import ArtifactError

KEY_WORDS = 3  # both words of the id, and the first of the digest


@final
class Protected:
    """`ids` [documents, 2] and `texts` [documents, 4] by number. ArtifactError when there is no document."""

    def __init__(self, inputs: tuple[Input, ...]) -> None:
        self._inputs = inputs
        read = [rows for item in inputs for rows in _rows(item)]
        rows = np.unique(np.concatenate(read), axis=0) if read else np.empty((0, 6), np.uint64)
        if not len(rows):
            raise ArtifactError(f"{', '.join(i.ref for i in inputs)} hold no document; there is nothing to protect")
        self.ids, self.texts = rows[:, :2], rows[:, 2:]
        self.keys = SortedRows(key_columns(rows))
        order = order_of([*self.texts.T, np.arange(len(rows), dtype=np.uint64)])
        new = np.ones(len(rows), bool)
        new[1:] = (self.texts[order[1:]] != self.texts[order[:-1]]).any(axis=1)
        self.first: Numbers = order[new]
        """The numbers of the documents that stand for a text, in the order of the digests."""

    def __len__(self) -> int:
        return len(self.ids)

    def distinct_texts(self) -> Iterator[tuple[int, str]]:
        """(number, text) of each document that stands for a text, once."""
        wanted = np.zeros(len(self), bool)
        wanted[self.first] = True
        for item in self._inputs:
            for batch in read_table(item.folder, ("id", "text")):
                words = np.hstack([id_words(batch.column("id"), item.run), text_words(batch.column("text"))])
                for row, number in enumerate(self.keys.places(key_columns(words)).tolist()):
                    if wanted[number]:
                        wanted[number] = False
                        yield number, batch.column("text")[row].as_py()

    def save_ids(self, folder: Path) -> None:
        """Writes the ids for `ProtectedIds`."""
        self.ids.tofile(folder / "ids")


@final
class ProtectedIds:
    """The ids of protected documents by number, memory-mapped."""

    def __init__(self, folder: Path) -> None:
        self._words = np.asarray(np.memmap(folder / "ids", np.uint64, "r")).reshape(-1, 2)

    def __getitem__(self, number: int) -> str:
        high, low = self._words[number].tolist()
        return f"{high:016x}{low:016x}"


def key_columns(rows: Words) -> tuple[Words, ...]:
    """The columns of a key from rows of id and digest."""
    return tuple(np.ascontiguousarray(rows[:, word]) for word in range(KEY_WORDS))


def _rows(item: Input) -> Iterator[Words]:
    for batch in read_table(item.folder, ("id", "text")):
        yield np.hstack([id_words(batch.column("id"), item.run), text_words(batch.column("text"))])
