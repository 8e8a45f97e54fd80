"""A file inside the project folder."""

from pathlib import Path
from typing import IO

from engine.data.sources.receive import Origin, chunks_of, receive
from engine.data.sources.spec import LocalFile
from engine.spec.errors import ArtifactError


def copy(source: LocalFile, root: Path, part: IO[bytes]) -> Origin:
    """Copies the file, so that a later edit of it leaves what was read in place."""
    path = root / source.path
    if not path.resolve().is_relative_to(root.resolve()):
        raise ArtifactError(f"file source: {path} leads out of the project folder {root}; put the file inside")
    if not path.is_file():
        raise ArtifactError(
            f"file source: there is no file {path}; put it there, or serve its sha256 {source.sha256} by a "
            "mirror (FACSIMILE_MIRRORS)"
        )
    with path.open("rb") as file:
        return Origin(f"the file {path}", receive(chunks_of(file), part))
