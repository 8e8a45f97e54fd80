"""Python sources: one unit a module, grouped by its path below the package so that versions stay together."""

from collections.abc import Iterator
from typing import IO

from engine.data.readers.bounded import whole
from engine.data.readers.text import decode
from engine.data.readers.unit import Unit


def read_python(stream: IO[bytes], where: str, file: str, member: str, most_bytes: int) -> Iterator[Unit]:
    """The module. `file` is the name of the archive, `member` the name in it."""
    yield Unit("", decode(whole(stream, where, most_bytes), where), module_path(file, member))


def module_path(file: str, member: str) -> str:
    """The path from the package's folder on: a wheel begins there, an sdist in name-version/ or name-version/src/."""
    if file.endswith(".whl") or "/" not in member:
        return member
    return member.partition("/")[2].removeprefix("src/")
