"""Bytes of a source on their way to disk, hashed as they pass."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, final

CHUNK_BYTES = 1 << 20


@final
@dataclass(frozen=True, slots=True)
class Origin:
    """Where bytes came from, in words for a person, and what they turned out to be."""

    place: str
    sha256: str


def receive(chunks: Iterable[bytes], part: IO[bytes]) -> str:
    """Writes chunks to an appending file, in place of what it held; gives their sha256."""
    part.truncate(0)
    hasher = hashlib.sha256()
    for chunk in chunks:
        hasher.update(chunk)
        part.write(chunk)
    return hasher.hexdigest()


def chunks_of(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
