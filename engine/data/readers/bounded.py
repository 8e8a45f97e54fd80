"""Bytes of a member with a bound on what one unit may hold, so that no line and no file fills the memory."""

from collections.abc import Iterator
from typing import IO

from engine.data.readers.unit import Faulty
from engine.spec.errors import ArtifactError

_PIECE = 1 << 20


def whole(stream: IO[bytes], where: str, most_bytes: int) -> bytes:
    """All bytes of a member that becomes one text. ArtifactError when there are more than `most_bytes`."""
    data = stream.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise ArtifactError(_too_long(where, most_bytes))
    return data


def lines(stream: IO[bytes], where: str, most_bytes: int) -> Iterator[tuple[int, bytes | Faulty]]:
    """(number from 1, bytes with the line end) for each line; of one that is too long no more than that is held."""
    number = 0
    while line := stream.readline(most_bytes + 1):
        number += 1
        if len(line) <= most_bytes:
            yield number, line
            continue
        while not line.endswith(b"\n") and (line := stream.readline(_PIECE)):
            pass
        yield number, Faulty("too_long", _too_long(f"{where} line {number}", most_bytes))


def _too_long(where: str, most_bytes: int) -> str:
    return (
        f"{where} is longer than {most_bytes:,} bytes; raise `most_bytes` of its source if that is one text, or pass "
        "it over with `faults: skip`"
    )
