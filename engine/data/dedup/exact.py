"""Exact duplicates: documents with one sha256 of their text form a cluster, and one of them stays.

Two passes, with memory for one bucket: the first spills a record a document into buckets by the first byte of its
key, and lists in each bucket who loses to whom; the second walks the documents beside those lists, merged by position.
A record is key, rank of the domain, id, position, all big-endian, so that sorting the bytes puts the winner first.
"""

import heapq
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import IO, Literal

from engine.data.dedup.spec import Keep
from engine.data.documents import Document, Drop

_BUCKETS = 256
_KEY, _RANK, _ID, _POSITION = 32, 4, 16, 8
_RECORD = _KEY + _RANK + _ID + _POSITION
_LOSS = _POSITION + _ID


def drop_duplicates(
    documents: Callable[[], Iterator[Document]],
    scope: Literal["global", "local"],
    keep: Keep,
    folder: Path,
    drop: Drop,
) -> Iterator[Document]:
    """The documents that stay, in order; `drop` gets each other one, the reason and the id that stands for it.

    `documents` begins the same stream anew at each call; `folder` is empty scratch space.
    """
    ranks = {domain: rank for rank, domain in enumerate(keep.priority)}
    _spill(documents(), scope, ranks, folder)
    losses = heapq.merge(*(_losses(_settle(path)) for path in sorted(folder.glob("*.records"))))
    loser, winner = next(losses, (-1, ""))
    for position, document in enumerate(documents()):
        if position == loser:
            drop(document, "exact_duplicate", winner, 1.0)
            loser, winner = next(losses, (-1, ""))
        else:
            yield document


def _spill(documents: Iterator[Document], scope: str, ranks: dict[str, int], folder: Path) -> None:
    with ExitStack() as stack:
        paths = [folder / f"{bucket:02x}.records" for bucket in range(_BUCKETS)]
        files: list[IO[bytes]] = [stack.enter_context(path.open("wb")) for path in paths]
        for position, document in enumerate(documents):
            key = _key(document, scope)
            rank = ranks.get(document.domain, len(ranks)).to_bytes(_RANK, "big")
            files[key[0]].write(key + rank + bytes.fromhex(document.id) + position.to_bytes(_POSITION, "big"))


def _key(document: Document, scope: str) -> bytes:
    text = sha256(document.text.encode("utf-8")).digest()
    return text if scope == "global" else sha256(document.domain.encode("utf-8") + b"\0" + text).digest()


def _settle(records: Path) -> Path:
    """Turns a bucket into its list of losses, (position, winner's id), sorted by position."""
    raw = records.read_bytes()
    rows = sorted(raw[begin : begin + _RECORD] for begin in range(0, len(raw), _RECORD))
    losses: list[bytes] = []
    for _, cluster in groupby(rows, key=lambda row: row[:_KEY]):
        first, *others = cluster
        losses.extend(row[-_POSITION:] + first[_KEY + _RANK : -_POSITION] for row in others)
    path = records.with_suffix(".losses")
    path.write_bytes(b"".join(sorted(losses)))
    records.unlink()
    return path


def _losses(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as file:
        while row := file.read(_LOSS):
            yield int.from_bytes(row[:_POSITION], "big"), row[_POSITION:].hex()
