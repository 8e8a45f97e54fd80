"""Words of a text, and a 64-bit number for each run of them: equal runs have equal numbers, others most often not.

Brown et al. 2020, appendix C, compare runs of words without punctuation in lower case; a word here is a run of letters
and digits. The numbers are polynomials modulo 2^64, made for all words at once.
"""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.data.dedup.buckets import Numbers, Words

PIECE_CHARS = 1 << 20  # of a long text at a time: what bounds memory
_LETTER, _WORD, _MIX = (np.uint64(odd) for odd in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93))
# assumed: odd numbers with well-spread bits; a poor choice would cost time and change no result
_HALF = np.uint64(32)


class Runs(NamedTuple):
    """Some words in a row, and the number of the run that begins at each, which the last ones have not."""

    begins: Numbers
    ends: Numbers
    numbers: Words

    def text(self, lowered: str, run: int, words: int) -> str:
        """The words of a run with single spaces between."""
        spans = zip(self.begins[run : run + words].tolist(), self.ends[run : run + words].tolist(), strict=True)
        return " ".join(lowered[begin:end] for begin, end in spans)


def word_runs(lowered: str, words: int) -> Iterator[Runs]:
    """All runs of so many words of a text in lower case; those of a long text a piece at a time."""
    held = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint64))
    begin = 0
    while begin < len(lowered):
        end = _between_words(lowered, begin + PIECE_CHARS)
        found = _words(lowered[begin:end], begin)
        begins, ends, numbers = (np.concatenate(pair) for pair in zip(held, found, strict=True))
        yield Runs(begins, ends, _run_numbers(numbers, words))
        rest = max(len(begins) - words + 1, 0)
        held, begin = (begins[rest:], ends[rest:], numbers[rest:]), end


def _between_words(text: str, at: int) -> int:
    while at < len(text) and text[at].isalnum():
        at += 1
    return min(at, len(text))


def _words(text: str, offset: int) -> tuple[Numbers, Numbers, Words]:
    """Where the words begin and end, counted from `offset` on, and a number for each."""
    points = np.frombuffer(text.encode(), "u1") if text.isascii() else np.frombuffer(text.encode("utf-32-le"), "<u4")
    inside = np.zeros(len(points) + 2, bool)
    inside[1:-1] = _word_characters()[points]
    begins = np.flatnonzero(inside[1:] & ~inside[:-1])
    ends = np.flatnonzero(~inside[1:] & inside[:-1])
    if not len(begins):
        return begins, ends, np.empty(0, np.uint64)
    chars, lengths = points[inside[1:-1]].astype(np.uint64), ends - begins
    starts = np.cumsum(lengths) - lengths
    powers = np.multiply.accumulate(np.full(int(lengths.max()), _LETTER))
    chars *= powers[np.arange(len(chars)) - np.repeat(starts, lengths)]
    return begins + offset, ends + offset, _mixed(np.add.reduceat(chars, starts))


def _run_numbers(words: Words, length: int) -> Words:
    """The number of the run that begins at each word, from the numbers of the words."""
    count = max(len(words) - length + 1, 0)
    runs = np.zeros(count, np.uint64)
    for place in range(length if count else 0):
        runs = runs * _WORD + words[place : place + count]
    return _mixed(runs)


def _mixed(values: Words) -> Words:
    return (values ^ (values >> _HALF)) * _MIX


@cache
def _word_characters() -> npt.NDArray[np.bool_]:
    return np.array([chr(point).isalnum() for point in range(0x110000)])
