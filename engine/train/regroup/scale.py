"""The scale of exact sums: for each tensor a power of two, known before a step, that leaves room for all its slots.

A slot is the gradient of one micro-batch. Its entries are rounded to multiples of 2^-shift and added as 32-bit whole
numbers: an exact sum, which no order of adding can change. An entry must lie below 2^exponent; where one does not, the
step's slots are computed again in a wider scale, so that the outcome depends on the slots alone.
"""

import math
from collections.abc import Sequence

SUM_BITS = 30  # of a 32-bit whole number: its sign and one bit for entries that are rounded up stay free
HEADROOM = 4  # bits that a largest entry may grow by in a step; measured, 3 M parameters: 2 of 80 steps computed again
LEAST = -90  # the lowest exponent: 2^-shift stays a normal number of fp32


def shift(exponent: int, slots: int) -> int:
    """The places behind the binary point that are kept of entries below 2^exponent, when `slots` of them are added."""
    return SUM_BITS - (slots - 1).bit_length() - exponent


def kept_bits(slots: int) -> int:
    """The places that a sum keeps below the largest entry of its tensor, when that has not grown for some steps."""
    return SUM_BITS - (slots - 1).bit_length() - HEADROOM


def exponent_of(peak: float) -> int:
    """The smallest exponent that a magnitude lies below: peak < 2^exponent."""
    return max(math.frexp(peak)[1], LEAST) if peak else LEAST


def fits(exponents: Sequence[int], peaks: Sequence[float]) -> bool:
    """Whether every tensor's largest entry lies below its bound."""
    return all(exponent_of(peak) <= exponent for exponent, peak in zip(exponents, peaks, strict=True))


def widened(exponents: Sequence[int], peaks: Sequence[float]) -> tuple[int, ...]:
    """The bounds to compute a step again with: those that were too low are raised, with headroom."""
    pairs = zip(exponents, peaks, strict=True)
    return tuple(e if exponent_of(peak) <= e else exponent_of(peak) + HEADROOM for e, peak in pairs)


def next_exponents(exponents: Sequence[int], peaks: Sequence[float]) -> tuple[int, ...]:
    """The bounds of the next step: they follow the largest entries down by one bit a step, and up at once."""
    pairs = zip(exponents, peaks, strict=True)
    return tuple(max(exponent_of(peak) + HEADROOM, e - 1, LEAST) for e, peak in pairs)
