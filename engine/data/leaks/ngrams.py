"""Leaks by runs of words (Brown et al. 2020, appendix C): found by 64-bit numbers, confirmed by the words themselves.

The paper drops a document around the runs that it shares; here the document goes. A run counts once for each protected
document that has it, however often it stands in the two.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from engine.data.dedup.buckets import Numbers, Words
from engine.data.dedup.spec import SharedNgram
from engine.data.documents import Document
from engine.data.leaks.leak import Leak
from engine.data.leaks.protected import Protected
from engine.data.leaks.word_runs import Runs, word_runs
from engine.spec.errors import ArtifactError

SLOTS = 8  # of the sieve for each entry (assumed): fewer than one foreign run in eight gets past it
LEAST_BITS = 16


class Entries(NamedTuple):
    """Runs sorted by their number: whose they are, and where their words stand in the file of words."""

    runs: Words
    numbers: Numbers
    begins: Numbers
    ends: Numbers

    def of(self, places: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> "Entries":
        return Entries(self.runs[places], self.numbers[places], self.begins[places], self.ends[places])


def index_ngrams(test: SharedNgram, protected: Protected, folder: Path) -> dict[str, JsonValue]:
    """Writes the runs of all protected texts. ArtifactError when none is long enough to have one."""
    short, parts = 0, [Entries(np.empty(0, np.uint64), *[np.empty(0, np.int64)] * 3)]
    with (folder / "words").open("wb") as file:
        for number, text in protected.distinct_texts():
            before, lowered = len(parts), text.lower()
            for runs in word_runs(lowered, test.words):
                if len(runs.numbers):
                    data, entries = _entries(runs, lowered, number, test.words, file.tell())
                    file.write(data)
                    parts.append(entries)
            short += len(parts) == before
    entries = _once(Entries(*map(np.concatenate, zip(*parts, strict=True))), (folder / "words").read_bytes())
    if not len(entries.runs):
        raise ArtifactError(
            f"none of the {len(protected)} protected documents has {test.words} words; a test of that many protects"
            " nothing: ask for fewer words, or for `exact`"
        )
    _save(entries, folder)
    return {"ngrams": len(entries.runs), "texts_without": short}


def _entries(runs: Runs, lowered: str, number: int, length: int, offset: int) -> tuple[bytes, Entries]:
    """The words of a piece in UTF-8 with single spaces between, and its runs."""
    words = [lowered[begin:end].encode() for begin, end in zip(runs.begins.tolist(), runs.ends.tolist(), strict=True)]
    sizes = np.array([len(word) for word in words], np.int64)
    begins = offset + np.cumsum(sizes + 1) - sizes - 1
    count = len(runs.numbers)
    ends = (begins + sizes)[length - 1 :]
    return b" ".join(words), Entries(runs.numbers, np.full(count, number), begins[:count], ends)


def _once(entries: Entries, words: bytes) -> Entries:
    """Sorted, and of equal runs of a document one alone."""
    entries = entries.of(np.lexsort((entries.begins, entries.numbers, entries.runs)))
    same = (entries.runs[1:] == entries.runs[:-1]) & (entries.numbers[1:] == entries.numbers[:-1])
    kept = np.ones(len(entries.runs), bool)
    seen: set[bytes] = set()
    for place in np.flatnonzero(same).tolist():
        if not (place and same[place - 1]):
            seen = {_words_at(entries, words, place)}
        found = _words_at(entries, words, place + 1)
        kept[place + 1] = found not in seen
        seen.add(found)
    return entries.of(kept)


def _words_at(entries: Entries, words: bytes, place: int) -> bytes:
    return words[entries.begins[place] : entries.ends[place]]


def _save(entries: Entries, folder: Path) -> None:
    for name, column in zip(Entries._fields, entries, strict=True):
        column.tofile(folder / name)
    bits = max(LEAST_BITS, (SLOTS * len(entries.runs) - 1).bit_length())
    sieve = np.zeros(1 << bits, bool)
    sieve[entries.runs >> np.uint64(64 - bits)] = True
    sieve.tofile(folder / "sieve")


@final
class SharedRuns:
    """Finds documents that share runs of words with a protected one; the one that shares most is named."""

    def __init__(self, test: SharedNgram, folder: Path) -> None:
        self._test = test
        kinds = (np.uint64, np.int64, np.int64, np.int64)
        names = zip(Entries._fields, kinds, strict=True)
        self._entries = Entries(*(np.asarray(np.memmap(folder / name, kind, "r")) for name, kind in names))
        self._words = np.memmap(folder / "words", np.uint8, "r")
        self._sieve = np.asarray(np.memmap(folder / "sieve", bool, "r"))
        self._shift = np.uint64(65 - len(self._sieve).bit_length())

    def __call__(self, document: Document, _digest: bytes) -> Leak | None:
        shared: dict[int, set[int]] = {}
        lowered = document.text.lower()
        for runs in word_runs(lowered, self._test.words):
            for entry in self._confirmed(runs, lowered):
                shared.setdefault(int(self._entries.numbers[entry]), set()).add(entry)
        if not shared:
            return None
        number = min(shared, key=lambda number: (-len(shared[number]), number))
        count = len(shared[number])
        return Leak("leak_ngram", number, count) if count >= self._test.least else None

    def _confirmed(self, runs: Runs, lowered: str) -> Iterator[int]:
        """The entries whose words are those of a run."""
        some = np.flatnonzero(self._sieve[runs.numbers >> self._shift])
        first = np.searchsorted(self._entries.runs, runs.numbers[some])
        last = np.searchsorted(self._entries.runs, runs.numbers[some], "right")
        for run, begin, end in zip(some.tolist(), first.tolist(), last.tolist(), strict=True):
            if begin < end:
                words = runs.text(lowered, run, self._test.words).encode()
                yield from (entry for entry in range(begin, end) if self._at(entry) == words)

    def _at(self, entry: int) -> bytes:
        return self._words[self._entries.begins[entry] : self._entries.ends[entry]].tobytes()
