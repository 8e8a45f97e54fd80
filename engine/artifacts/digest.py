"""Digests of bytes and tensors: sha256 is the identity, XXH3-128 the fast compare, both in one pass over the bytes."""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import final

import numpy as np
import xxhash

from engine.artifacts.disk import writing
from engine.artifacts.writer import Writer
from engine.spec.base import Spec
from engine.spec.canonical import digest
from engine.spec.units import Index, Sha256

BLOCK_BYTES = 4 << 20  # measured: smaller blocks pay for the thread switch, larger ones leave the cache
THREAD_BYTES = 256 << 10  # measured: below this a second thread costs more than it saves


class FileDigest(Spec):
    """Size and digests of a file's bytes; `sha256` is empty where only XXH3 was asked for."""

    bytes: Index
    sha256: str
    xxh3: str


def _nothing(_: memoryview) -> object:
    return None


class Hasher:
    """XXH3-128, and sha256 if wanted, of a stream of bytes; sha256 runs in a second thread on large blocks."""

    def __init__(self, sha256: bool = True) -> None:
        self.bytes = 0
        self._sha256 = hashlib.sha256() if sha256 else None
        self._xxh3 = xxhash.xxh3_128()
        self._thread: ThreadPoolExecutor | None = None

    def update(self, view: memoryview, meanwhile: Callable[[memoryview], object] = _nothing) -> None:
        """Feeds bytes to the hashes and to `meanwhile`; when it returns, nobody reads the view any more."""
        self.bytes += view.nbytes
        if self._sha256 is None or view.nbytes < THREAD_BYTES:
            if self._sha256 is not None:
                self._sha256.update(view)
            self._xxh3.update(view)
            meanwhile(view)
            return
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1)
        waiting = self._thread.submit(self._sha256.update, view)
        try:
            self._xxh3.update(view)
            meanwhile(view)
        finally:
            waiting.result()

    def finish(self) -> FileDigest:
        """The digests; nothing may be fed afterwards."""
        self.stop()
        sha256 = "" if self._sha256 is None else self._sha256.hexdigest()
        return FileDigest(bytes=self.bytes, sha256=sha256, xxh3=self._xxh3.hexdigest())

    def stop(self) -> None:
        """Ends the second thread."""
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None


@final
class HashingFile(Writer):
    """A new binary file whose bytes are hashed as they are written; closing makes it durable.

    Small writes are gathered, so that the hashes see large blocks. `reserved_bytes` at its beginning are outside the
    digest, for a header that is known only at the end (`fill`). The digest is there after a close without error.
    """

    def __init__(
        self,
        path: Path,
        sha256: bool = True,
        reserved_bytes: int = 0,
        closed: Callable[[FileDigest], None] | None = None,
    ) -> None:
        self.path = path
        self._digest: FileDigest | None = None
        self._on_close = closed
        self._hasher = Hasher(sha256)
        self._waiting = bytearray()
        with writing(path.parent):
            self._file = path.open("wb", buffering=0)
            self._file.seek(reserved_bytes)

    @property
    def closed(self) -> bool:
        return self._file.closed

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        """Bytes written so far, gathered ones included."""
        return self._hasher.bytes + len(self._waiting)

    def flush(self) -> None:
        """Nothing becomes durable before the close."""

    def write(self, data: bytes | bytearray | memoryview) -> int:
        view = memoryview(data).cast("B")
        if view.nbytes < THREAD_BYTES:
            if len(self._waiting) + view.nbytes > BLOCK_BYTES:
                self._drain()
            self._waiting += view
            return view.nbytes
        self._drain()
        for begin in range(0, view.nbytes, BLOCK_BYTES):
            self._put(view[begin : begin + BLOCK_BYTES])
        return view.nbytes

    def fill(self, header: bytes) -> None:
        """Puts bytes into the reserved beginning; nothing may be written afterwards."""
        self._drain()
        with writing(self.path.parent):
            self._file.seek(0)
            self._write_all(memoryview(header))

    def close(self) -> None:
        """Writes what is left, fsyncs, and hands the digest on; a second close does nothing."""
        if self.closed:
            return
        try:
            self._drain()
            with writing(self.path.parent):
                os.fsync(self._file.fileno())
        finally:
            self.abort()
        self._digest = self._hasher.finish()
        if self._on_close is not None:
            self._on_close(self._digest)

    def result(self) -> FileDigest:
        """The digests of the closed file."""
        assert self._digest is not None, f"{self.path} is not closed"
        return self._digest

    def abort(self) -> None:
        """Closes the file as it is, without a digest."""
        self._hasher.stop()
        self._file.close()

    def _drain(self) -> None:
        waiting, self._waiting = self._waiting, bytearray()
        if waiting:
            self._put(memoryview(waiting))

    def _put(self, view: memoryview) -> None:
        with writing(self.path.parent):
            self._hasher.update(view, self._write_all)

    def _write_all(self, view: memoryview) -> None:
        while view.nbytes:
            view = view[self._file.write(view) :]


def file_digest(path: Path, sha256: bool = True) -> FileDigest:
    """Digests of a file in one pass; the system's errors pass unchanged."""
    hasher = Hasher(sha256)
    block = memoryview(bytearray(BLOCK_BYTES))
    try:
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(block):
                hasher.update(block[:count])
    finally:
        hasher.stop()
    return hasher.finish()


def little_endian(array: np.ndarray) -> np.ndarray:
    """The same values, contiguous, with little-endian bytes in memory."""
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)


def bytes_of(array: np.ndarray) -> memoryview:
    """The bytes of a contiguous array, without a copy."""
    return array.reshape(-1).view(np.uint8).data


def tensor_digest(name: str, dtype: str, shape: tuple[int, ...], sha256: Sha256) -> str:
    """Identity of a tensor from the sha256 of its little-endian bytes in C order; dtype as numpy names it."""
    return digest([name, dtype, list(shape), sha256])
