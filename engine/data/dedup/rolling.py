"""The loops that near duplicates spend their time in, compiled by numba: integers alone, equal on every machine."""

import numba
import numpy as np

BASE = 0x9E3779B97F4A7C15  # odd, 2^64 over the golden ratio
MIX_1, MIX_2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # of SplitMix64
_BASE, _MIX_1, _MIX_2 = np.uint64(BASE), np.uint64(MIX_1), np.uint64(MIX_2)
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


@numba.njit("void(uint32[::1], int64[::1], int64, uint32[::1], uint32[::1], uint32[:, ::1])", nogil=True)
def signatures(codes, ends, width, a, b, out):  # type: ignore[no-untyped-def]
    """out[d, k] = the least a[k] * x + b[k] modulo 2^32 over the shingles of text d, x the upper half of a hash.

    A text without a shingle keeps the greatest value everywhere.
    """
    begin = 0
    for d in range(len(ends)):
        row = out[d]
        row[:] = np.uint32(0xFFFFFFFF)
        length = ends[d] - begin
        if length > 0:
            text = codes[begin : ends[d]]
            w = min(width, length)
            highest = np.uint64(1)
            for _ in range(w - 1):
                highest *= _BASE
            h = np.uint64(0)
            for i in range(w - 1):
                h = h * _BASE + np.uint64(text[i])
            for i in range(w - 1, length):
                h = h * _BASE + np.uint64(text[i])
                x = np.uint32(_mixed(h) >> _32)
                for k in range(len(a)):
                    value = np.uint32(a[k] * x + b[k])
                    row[k] = min(row[k], value)
                h -= np.uint64(text[i - w + 1]) * highest
        begin = ends[d]
