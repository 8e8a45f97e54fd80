"""From a source to its bytes on disk: kept already, or from a mirror by digest, or from where the source says.

A file lies in `data/sources/` under its sha256, which is its identity; where the bytes came from is placement.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, assert_never
from urllib.parse import quote, urlsplit

from engine.artifacts import disk
from engine.artifacts.placement import Placement
from engine.data.sources import apt, git, https, local, mirrors, pypi
from engine.data.sources.receive import Origin, sha256_of
from engine.data.sources.spec import AptFile, GitFile, HttpsFile, HubFile, LocalFile, NamedFiles, PypiFile, RawFile
from engine.spec.errors import ArtifactError


def resolve(source: RawFile, placement: Placement) -> Path:
    """The file of a source, `data/sources/<sha256>`, checked against its sha256.

    ArtifactError when it cannot be had or has other bytes; a wrong download is kept in `data/sources/rejected/`.
    """
    if isinstance(source, NamedFiles):
        raise _unpinned(source)
    kept = placement.sources / source.sha256
    if not kept.is_file():
        with disk.writing(placement.sources):
            placement.sources.mkdir(parents=True, exist_ok=True)
            _obtain(source, placement, kept)
    found = sha256_of(kept)
    if found != source.sha256:
        raise ArtifactError(
            f"{kept} was damaged on disk: its sha256 is {found}; remove it and run again, it will be fetched anew"
        )
    return kept


def file_name(source: RawFile) -> str:
    """The name that the file has at its origin; locators begin with it."""
    match source:
        case PypiFile():
            return PurePosixPath(source.file).name
        case HttpsFile():
            return PurePosixPath(urlsplit(source.url).path).name or "download"
        case GitFile() | LocalFile() | HubFile():
            return PurePosixPath(source.path).name
        case AptFile():
            return PurePosixPath(source.file).name
        case NamedFiles():
            return source.repository
        case _:
            assert_never(source)


def _obtain(source: RawFile, placement: Placement, kept: Path) -> None:
    with _locked(placement.sources / f".{source.sha256}.part") as (path, part):
        if kept.is_file():  # another process was faster
            return
        origin = _bring(source, placement, part)
        part.flush()
        os.fsync(part.fileno())
        if origin.sha256 != source.sha256:
            raise _refuse(source, origin, path, placement.sources / "rejected")
        path.replace(kept)
        disk.sync_folder(placement.sources)


def _bring(source: RawFile, placement: Placement, part: IO[bytes]) -> Origin:
    """Writes the bytes of a source into `part`, from the first place that has them."""
    mirrored = mirrors.find(placement.mirrors, source.sha256)
    if mirrored is not None:
        return mirrors.copy(mirrored, part)
    match source:
        case PypiFile():
            return pypi.download(source, part)
        case HttpsFile():
            return https.download(source.url, file_name(source), part)
        case GitFile():
            return git.copy(source, placement, part)
        case LocalFile():
            return local.copy(source, placement.root, part)
        case AptFile():
            return apt.download(source, part)
        case HubFile():
            return https.download(hub_url(source), file_name(source), part)
        case NamedFiles():
            raise _unpinned(source)
        case _:
            assert_never(source)


def hub_url(source: HubFile) -> str:
    """Where the hub serves a file of a data set at a commit."""
    return f"https://huggingface.co/datasets/{source.dataset}/resolve/{source.revision}/{quote(source.path)}"


def _unpinned(source: NamedFiles) -> ArtifactError:
    return ArtifactError(
        f"no file of {source.repository} is pinned, and {source.revision!r} may name other bytes tomorrow; "
        "write `kind: hf` with the commit, path and sha256 of each file in its place"
    )


def _refuse(source: RawFile, origin: Origin, path: Path, rejected: Path) -> ArtifactError:
    """Keeps a wrong download aside and says so."""
    rejected.mkdir(exist_ok=True)
    aside = rejected / f"{origin.sha256}-{file_name(source)[-100:]}"
    path.replace(aside)
    return ArtifactError(
        f"{file_name(source)}: {origin.place} gave other bytes than the spec says: expected sha256 {source.sha256}, "
        f"got {origin.sha256}. The download is kept as {aside}, and nothing else was touched. Look at it: if it is "
        "the file you want, write its sha256 into the spec; if not, mend the mirror or the index and run again"
    )


@contextmanager
def _locked(path: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """The part file of a download, empty and held by this process alone; it is gone afterwards."""
    while True:
        part = path.open("ab")
        fcntl.flock(part, fcntl.LOCK_EX)
        if _is_at(part, path):
            break
        part.close()  # its owner renamed or removed it while we waited
    try:
        part.truncate(0)
        yield path, part
    finally:
        if _is_at(part, path):
            path.unlink()
        part.close()


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
