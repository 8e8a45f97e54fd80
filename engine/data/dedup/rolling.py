"""The loops that near duplicates spend their time in, compiled by numba: integers alone, equal on every machine."""

import numba
import numpy as np

BASE = 0x9E3779B97F4A7C15  # odd, 2^64 over the golden ratio
MIX_1, MIX_2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # of SplitMix64
_BASE, _MIX_1, _MIX_2 = np.uint64(BASE), np.uint64(MIX_1), np.uint64(MIX_2)
_AT_ONCE = 8
_30, _27, _31, _32 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)


@numba.njit(inline="always")
def _mixed(h):  # type: ignore[no-untyped-def]
    h = (h ^ (h >> _30)) * _MIX_1
    h = (h ^ (h >> _27)) * _MIX_2
    return h ^ (h >> _31)


@numba.njit("void(uint32[::1], int64, uint64[::1])", nogil=True)
def rolling(codes, width, hashes):  # type: ignore[no-untyped-def]
    """hashes[i] = that of codes[i : i + width]; there are len(codes) - width + 1."""
    highest = np.uint64(1)
    for _ in range(width - 1):
        highest *= _BASE
    h = np.uint64(0)
    for i in range(width):
        h = h * _BASE + np.uint64(codes[i])
    hashes[0] = _mixed(h)
    for i in range(width, len(codes)):
        h = (h - np.uint64(codes[i - width]) * highest) * _BASE + np.uint64(codes[i])
        hashes[i - width + 1] = _mixed(h)


@numba.njit("void(uint64[::1], int64, uint32[::1], uint32[::1], uint32[::1])", nogil=True)
def _least(hashes, count, a, b, row):  # type: ignore[no-untyped-def]
    """The least values over the hashes, eight of them for each time that a function is loaded."""
    for i in range(0, count, _AT_ONCE):
        x0, x1 = np.uint32(hashes[i] >> _32), np.uint32(hashes[i + 1] >> _32)
        x2, x3 = np.uint32(hashes[i + 2] >> _32), np.uint32(hashes[i + 3] >> _32)
        x4, x5 = np.uint32(hashes[i + 4] >> _32), np.uint32(hashes[i + 5] >> _32)
        x6, x7 = np.uint32(hashes[i + 6] >> _32), np.uint32(hashes[i + 7] >> _32)
        for k in range(len(a)):
            f, g = a[k], b[k]
            low = min(np.uint32(f * x0 + g), np.uint32(f * x1 + g))
            low = min(low, min(np.uint32(f * x2 + g), np.uint32(f * x3 + g)))
            low = min(low, min(np.uint32(f * x4 + g), np.uint32(f * x5 + g)))
            low = min(low, min(np.uint32(f * x6 + g), np.uint32(f * x7 + g)))
            row[k] = min(row[k], low)


@numba.njit("void(uint32[::1], int64[::1], int64, uint32[::1], uint32[::1], uint32[:, ::1])", nogil=True)
def signatures(codes, ends, width, a, b, out):  # type: ignore[no-untyped-def]
    """out[d, k] = the least a[k] * x + b[k] modulo 2^32 over the shingles of text d, x the upper half of a hash.

    A text without a shingle keeps the greatest value everywhere.
    """
    longest = 0
    begin = 0
    for d in range(len(ends)):
        longest = max(longest, ends[d] - begin)
        begin = ends[d]
    hashes = np.empty(longest + _AT_ONCE, np.uint64)
    begin = 0
    for d in range(len(ends)):
        out[d, :] = np.uint32(0xFFFFFFFF)
        length = ends[d] - begin
        if length > 0:
            w = min(width, length)
            count = length - w + 1
            rolling(codes[begin : ends[d]], w, hashes[:count])
            hashes[count : count + _AT_ONCE] = hashes[count - 1]  # the last one again changes no least
            _least(hashes, count, a, b, out[d])
        begin = ends[d]
