"""The definition of a signature in plain Python and numpy, which the compiled loop is held against."""

import numpy as np

from engine.data.dedup.minhash import Functions, Words
from engine.data.dedup.rolling import BASE, MIX_1, MIX_2

MASK = (1 << 64) - 1


def shingle_hash(shingle: str) -> int:
    """The 64-bit hash of one shingle."""
    h = 0
    for char in shingle:
        h = (h * BASE + ord(char)) & MASK
    h = ((h ^ (h >> 30)) * MIX_1) & MASK
    h = ((h ^ (h >> 27)) * MIX_2) & MASK
    return h ^ (h >> 31)


def shingle_set(text: str, width: int) -> set[str]:
    """The shingles of a text as it is compared."""
    return {text[i : i + width] for i in range(max(len(text) - width + 1, 1))} if text else set()


def signature(text: str, width: int, by: Functions) -> Words:
    """The signature of one text, [functions]."""
    hashes = [shingle_hash(shingle) >> 32 for shingle in shingle_set(text, width)]
    if not hashes:
        return np.full(len(by[0]), 0xFFFFFFFF, np.uint32)
    a, b, x = by[0].astype(np.uint64), by[1].astype(np.uint64), np.array(hashes, np.uint64)
    values = (a[:, None] * x + b[:, None]) & np.uint64(0xFFFFFFFF)
    least: Words = values.min(axis=1).astype(np.uint32)
    return least
