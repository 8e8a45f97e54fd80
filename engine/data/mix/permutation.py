"""A permutation of 0..n-1 that is a function of its key alone: nothing is stored, and any place is answered at once.

A balanced Feistel network over the smallest even number of bits that holds n, walked along its cycle until it is below
n (Black and Rogaway 2002, "Ciphers with arbitrary finite domains"). Its rounds are the finaliser of SplitMix64.
"""

from collections.abc import Callable
from typing import final

import numpy as np
import numpy.typing as npt

from engine.spec.philox import generator

ROUNDS = 6  # assumed: four make a strong pseudo-random permutation of random functions, two more for weak ones

Numbers = npt.NDArray[np.int64]
_Words = npt.NDArray[np.uint64]
_30, _27, _31 = np.uint64(30), np.uint64(27), np.uint64(31)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@final
class Permutation:
    """The permutation of n numbers that belongs to a seed and a purpose."""

    def __init__(self, n: int, seed: int, *purpose: str) -> None:
        self.n = n
        half = max((n - 1).bit_length() + 1, 2) // 2
        self._half, self._mask = np.uint64(half), np.uint64((1 << half) - 1)
        self._keys = generator(seed, *purpose).raw(ROUNDS)

    def at(self, places: Numbers) -> Numbers:
        """The numbers at some places, each in 0..n-1."""
        return self._walked(places, self._forth)

    def places_of(self, numbers: Numbers) -> Numbers:
        """Where some numbers stand: the inverse of `at`."""
        return self._walked(numbers, self._back)

    def _walked(self, given: Numbers, step: Callable[[_Words], _Words]) -> Numbers:
        found = step(given.astype(np.uint64))
        outside = np.flatnonzero(found >= self.n)
        while len(outside):
            found[outside] = step(found[outside])
            outside = outside[found[outside] >= self.n]
        return found.astype(np.int64)

    def _forth(self, x: _Words) -> _Words:
        left, right = x >> self._half, x & self._mask
        for key in self._keys:
            left, right = right, left ^ (_mixed(right + key) & self._mask)
        return (left << self._half) | right

    def _back(self, x: _Words) -> _Words:
        left, right = x >> self._half, x & self._mask
        for key in self._keys[::-1]:
            left, right = right ^ (_mixed(left + key) & self._mask), left
        return (left << self._half) | right


def _mixed(x: _Words) -> _Words:
    x = (x ^ (x >> _30)) * _MIX_1
    x = (x ^ (x >> _27)) * _MIX_2
    return x ^ (x >> _31)
