"""What two sets of documents share, by text and by group, without holding either of them in memory.

Keys are spilled to files by their first bits, then compared file by file: memory is that of one file's keys, 1/64 of
all of them, at 32 bytes each.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import final

from engine.artifacts.read import Input
from engine.data.documents import Document, watched_documents
from engine.spec.canonical import canonical

BUCKETS = 64
KEY_BYTES = 32


@final
@dataclass(frozen=True, slots=True)
class Shared:
    """Numbers of documents on each side, and of distinct texts and (domain, group) pairs that stand on both."""

    left: int
    right: int
    texts: int
    groups: int


def text_key(document: Document) -> bytes:
    return hashlib.sha256(document.text.encode("utf-8")).digest()


def group_key(document: Document) -> bytes:
    return hashlib.sha256(canonical([document.domain, document.group])).digest()


def shared_documents(left: Input, right: Input, scratch: Path) -> Shared:
    """Reads each side once; the spilled keys lie in a folder below `scratch` that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=".keys-", dir=scratch) as folder:
        place = Path(folder)
        counts = [_spill(side, place, name) for side, name in ((left, "left"), (right, "right"))]
        texts = sum(_common(place, "text", bucket) for bucket in range(BUCKETS))
        groups = sum(_common(place, "group", bucket) for bucket in range(BUCKETS))
    return Shared(counts[0], counts[1], texts, groups)


def _spill(side: Input, place: Path, name: str) -> int:
    """Writes the text key and the group key of every document to the file of its bucket; gives their number."""
    count = 0
    with ExitStack() as stack:
        files = {
            kind: [stack.enter_context(_keys(place, name, kind, n).open("wb")) for n in range(BUCKETS)]
            for kind in ("text", "group")
        }
        for document in watched_documents(side, f"disjoint, {name}"):
            count += 1
            for kind, key in (("text", text_key(document)), ("group", group_key(document))):
                files[kind][key[0] % BUCKETS].write(key)
    return count


def _common(place: Path, kind: str, bucket: int) -> int:
    """The number of distinct keys of a bucket that stand on both sides."""
    left = set(_read(_keys(place, "left", kind, bucket)))
    return len(left.intersection(_read(_keys(place, "right", kind, bucket))))


def _keys(place: Path, name: str, kind: str, bucket: int) -> Path:
    return place / f"{name}-{kind}-{bucket:02d}"


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while key := file.read(KEY_BYTES):
            yield key
