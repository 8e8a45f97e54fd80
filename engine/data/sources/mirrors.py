"""Mirrors: folders that are searched by digest before any source is asked.

A mirror has an `index.json`, a list of objects with `path` and `sha256`, or files named by their sha256, or both.
"""

import json
from pathlib import Path
from typing import IO

from engine.data.sources.receive import Origin, chunks_of, receive
from engine.spec.errors import ArtifactError


def find(mirrors: tuple[Path, ...], sha256: str) -> Path | None:
    """The file that a mirror says has this sha256; mirrors in their order."""
    for mirror in mirrors:
        named = mirror / sha256
        if named.is_file():
            return named
        listed = _listed(mirror, sha256)
        if listed is not None:
            return listed
    return None


def copy(path: Path, part: IO[bytes]) -> Origin:
    """Copies a file of a mirror; it is checked like any download."""
    with path.open("rb") as file:
        return Origin(f"the mirror's file {path}", receive(chunks_of(file), part))


def _listed(mirror: Path, sha256: str) -> Path | None:
    index = mirror / "index.json"
    if not index.is_file():
        return None
    for path in _paths(index, sha256):
        file = (mirror / path).resolve()
        if not file.is_relative_to(mirror.resolve()):
            raise ArtifactError(f"{index}: {path!r} climbs out of the mirror; list files inside it only")
        if file.is_file():
            return file
    return None


def _paths(index: Path, sha256: str) -> list[str]:
    try:
        rows = json.loads(index.read_bytes())
        return [str(row["path"]) for row in rows if row["sha256"] == sha256]
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{index} is no list of objects with `path` and `sha256` ({error!r}); mend it, or take the mirror away"
        ) from error
