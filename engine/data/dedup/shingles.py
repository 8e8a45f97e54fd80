"""Shingles of a text: its runs of `width` code points, each as a 64-bit hash, and the similarity of two sets of them.

A run c_1 ... c_w has the polynomial sum of c_i * BASE^(w - i) modulo 2^64, mixed by the finaliser of SplitMix64 (Steele
et al. 2014). Of two different runs the hashes are equal with a probability of about 2^-64.
"""

from collections.abc import Sequence
from typing import assert_never

import numpy as np
import numpy.typing as npt

from engine.data.dedup.rolling import rolling
from engine.data.dedup.spec import Shingle
from engine.data.slimpajama_text import slimpajama_text

Codes = npt.NDArray[np.uint32]
Hashes = npt.NDArray[np.uint64]


def shingle_hashes(text: str, shingle: Shingle) -> Hashes:
    """The set of the text's shingles as sorted hashes; a text shorter than a shingle is one, an empty one has none."""
    codes, _ = code_points([compared_text(text, shingle)])
    hashes = np.empty(shingles_of(len(codes), shingle.width), np.uint64)
    if len(hashes):
        rolling(codes, min(shingle.width, len(codes)), hashes)
    hashes.sort()  # numpy's unique counts with a hash table, ten times as slow
    first = np.ones(len(hashes), bool)
    first[1:] = hashes[1:] != hashes[:-1]
    return hashes[first]


def jaccard(a: Hashes, b: Hashes) -> float:
    """The Jaccard similarity of two sets of sorted hashes; of two empty ones 1."""
    merged = np.sort(np.concatenate([a, b]), kind="stable")  # which merges the two runs
    both = int(np.count_nonzero(merged[1:] == merged[:-1]))
    either = len(a) + len(b) - both
    return both / either if either else 1.0


def compared_text(text: str, shingle: Shingle) -> str:
    """The text whose shingles are taken."""
    match shingle.text:
        case "slimpajama":
            return slimpajama_text(text)
        case "plain":
            return text
        case _:
            assert_never(shingle.text)


def code_points(texts: Sequence[str]) -> tuple[Codes, npt.NDArray[np.int64]]:
    """The code points of all texts one after the other, and where each text ends."""
    data = "".join(texts).encode("utf-32-le", "surrogatepass")
    return np.frombuffer(data, "<u4").copy(), np.cumsum([len(text) for text in texts], dtype=np.int64)


def shingles_of(length: int, width: int) -> int:
    """The number of shingles of a text, equal ones counted each."""
    return max(length - width + 1, min(length, 1))
