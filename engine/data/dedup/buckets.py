"""Records spilled into buckets by a number, so that what belongs together is read together; memory is one bucket.

How many buckets there are follows from the number of records and changes no result.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt

BUCKET_BYTES = 24 << 20  # assumed: what one bucket may hold in memory, before its sort
HELD_BYTES = 16 << 20  # records held until they are written, so that files are appended to in long runs
CHUNK = 1 << 20  # numbers of an array on disk that are worked on at a time

Words = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]
Records = npt.NDArray[np.void]


@final
class Buckets:
    """Files of records of one dtype; `records` and `bytes` are what was put into them."""

    def __init__(self, folder: Path, name: str, dtype: np.dtype[Any], count: int) -> None:
        self.count, self.bytes, self.records = count, 0, 0
        self._dtype, self._stem = dtype, folder / name
        self._held: list[tuple[npt.NDArray[np.integer], Records]] = []
        self._held_bytes = 0

    def add(self, buckets: npt.NDArray[np.integer], records: Records) -> None:
        """Puts each record into the bucket of its number."""
        self._held.append((buckets, records))
        self._held_bytes += records.nbytes
        self.records += len(records)
        self.bytes += records.nbytes
        if self._held_bytes >= HELD_BYTES:
            self._write()

    def read(self, bucket: int) -> Records:
        """The records of a bucket in the order in which they came."""
        self._write()
        path = self._path(bucket)
        return np.fromfile(path, self._dtype) if path.exists() else np.empty(0, self._dtype)

    def take(self, bucket: int) -> Records:
        """The records of a bucket, which is empty afterwards."""
        found = self.read(bucket)
        self._path(bucket).unlink(missing_ok=True)
        return found

    def _write(self) -> None:
        if not self._held:
            return
        buckets = np.concatenate([numbers for numbers, _ in self._held])
        records = np.concatenate([records for _, records in self._held])
        order = np.argsort(buckets, kind="stable")
        ends = np.cumsum(np.bincount(buckets, minlength=self.count))
        for bucket in np.unique(buckets):
            chosen = records[order[ends[bucket - 1] if bucket else 0 : ends[bucket]]]
            with self._path(int(bucket)).open("ab") as file:
                file.write(chosen.tobytes())
        self._held, self._held_bytes = [], 0

    def _path(self, bucket: int) -> Path:
        return self._stem.with_name(f"{self._stem.name}.{bucket:06x}")


def buckets_for(records: int, record_bytes: int) -> int:
    """A power of two of buckets that hold about BUCKET_BYTES each, at most 65,536."""
    wanted = -(-records * record_bytes // BUCKET_BYTES)
    return min(1 << max(wanted - 1, 0).bit_length(), 1 << 16)


def leading(words: Words, count: int) -> Numbers:
    """The bucket of evenly spread 64-bit words by their first bits; `count` is a power of two."""
    bits = count.bit_length() - 1
    return ((words >> np.uint64(32)) >> np.uint64(32 - bits)).astype(np.int64)


def disk_array(path: Path, dtype: Any, rows: int, *shape: int) -> npt.NDArray[Any]:
    """A memory-mapped array of zeros whose room on the disk is taken at once: a full disk is an OSError here."""
    nothing = np.empty((0, *shape), dtype)
    if not rows:
        return nothing  # an empty file cannot be mapped
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, rows * int(np.prod(shape, initial=nothing.itemsize)))
    return np.memmap(path, dtype, "r+", shape=(rows, *shape))


def chunks(rows: int) -> Iterator[slice]:
    """An array on disk, a run of numbers at a time."""
    for begin in range(0, rows, CHUNK):
        yield slice(begin, min(begin + CHUNK, rows))
