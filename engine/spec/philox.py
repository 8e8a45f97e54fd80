"""Named streams of random numbers from integers and + - * / sqrt alone, so that they are equal on every machine.

numpy's Philox gives the raw 64-bit words (Philox4x64-10, counter based, its output is fixed). Everything above
the words is our own, since numpy may change its methods and its normals call the C library's logarithm.
"""

import hashlib
from typing import final

import numpy as np
import numpy.typing as npt

from engine.spec.canonical import canonical

Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]

PAIRS = 1 << 14  # candidate pairs of normals drawn at a time; part of the stream's definition, never to be changed
LN2_HIGH = float.fromhex("0x1.62e42feep-1")  # 32 bits of ln 2: times any exponent of a double it is exact
LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")  # ln 2 less LN2_HIGH
SQRT_HALF = float.fromhex("0x1.6a09e667f3bcdp-1")
ATANH_TERMS = 11  # z*z <= 0.0295, so the first term left out is below 2**-60 of the sum


@final
class Stream:
    """The draws of one purpose, in order; `generator` makes it.

    Words, uniforms and normals asked for in two calls, a and then b, equal those of one call for a + b.
    """

    def __init__(self, key: Words) -> None:
        self._words = np.random.Philox(key=key)
        self._normals: Floats = np.empty(0, np.float64)

    def raw(self, n: int) -> Words:
        """The next n words, uint64."""
        return np.asarray(self._words.random_raw(n), np.uint64)

    def uniform(self, n: int) -> Floats:
        """The next n words as odd multiples of 2**-53: never 0, never 1, mean exactly 1/2."""
        return ((self.raw(n) >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52

    def permutation(self, n: int) -> npt.NDArray[np.int64]:
        """0..n-1 in the order of n words; of two equal words the first stays first."""
        return np.argsort(self.raw(n), kind="stable").astype(np.int64)

    def normal(self, n: int) -> Floats:
        """The next n standard normals, by the polar method of Marsaglia (1964) on blocks of PAIRS candidates."""
        parts, missing = [self._normals], n - len(self._normals)
        while missing > 0:
            parts.append(self._polar_block())
            missing -= len(parts[-1])
        normals = np.concatenate(parts)
        self._normals = normals[n:].copy()
        return normals[:n]

    def _polar_block(self) -> Floats:
        pairs = (self.uniform(2 * PAIRS) * 2.0 - 1.0).reshape(PAIRS, 2)
        squares = pairs[:, 0] * pairs[:, 0] + pairs[:, 1] * pairs[:, 1]
        inside = (squares < 1.0) & (squares > 0.0)
        pairs, squares = pairs[inside], squares[inside]
        return (pairs * np.sqrt(-2.0 * log(squares) / squares)[:, None]).reshape(-1)


def generator(seed: int, *purpose: str) -> Stream:
    """The stream of a seed and a purpose, such as ("data", "order", "chunk-3"); each purpose is a stream of its own."""
    name = hashlib.sha256(canonical([seed, *purpose])).digest()
    return Stream(np.frombuffer(name[:16], dtype=">u8").astype(np.uint64))


def log(x: Floats) -> Floats:
    """Natural logarithm of positive normal doubles within a few units in the last place, equal on every machine.

    x = m * 2**e with m in [sqrt(1/2), sqrt(2)); log m = 2 atanh z with z = (m - 1) / (m + 1).
    """
    m, e = np.frexp(x)
    low = m < SQRT_HALF
    m, e = np.where(low, m * 2.0, m), (e - low).astype(np.float64)
    z = (m - 1.0) / (m + 1.0)
    square = z * z
    series = np.full_like(z, 1.0 / (2 * ATANH_TERMS + 1))
    for k in range(ATANH_TERMS - 1, 0, -1):
        series = series * square + 1.0 / (2 * k + 1)
    tail = 2.0 * z * square * series
    return e * LN2_HIGH + (2.0 * z + (tail + e * LN2_LOW))
