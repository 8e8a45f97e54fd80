"""The seal of an artifact, seal.json: the bytes of every file, its manifest included, and a digest over itself."""

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from engine.artifacts import disk
from engine.artifacts.digest import FileDigest, file_digest
from engine.artifacts.manifest import MANIFEST
from engine.spec.base import Spec
from engine.spec.canonical import digest, pretty
from engine.spec.errors import ArtifactError
from engine.spec.units import InnerPath, Sha256

SEAL = "seal.json"
UNLINK = "if DVC made it: dvc config cache.type hardlink,copy && dvc checkout --relink"


class Seal(Spec):
    """Files by path in the artifact; `sha256` is empty for containers, whose content the manifest has."""

    format: Literal[1]
    files: dict[InnerPath, FileDigest]
    digest: Sha256


def write_seal(folder: Path, files: dict[str, FileDigest]) -> None:
    """Writes the seal over files whose digests are known."""
    ordered = dict(sorted(files.items()))
    disk.write_whole(folder / SEAL, pretty(Seal(format=1, files=ordered, digest=digest(ordered))))


def read_seal(folder: Path) -> Seal:
    """The seal of an artifact; ArtifactError when it is missing or one bit of it is not as it was written."""
    path = folder / SEAL
    try:
        text = path.read_bytes()
        seal = Seal.model_validate_json(text)
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} is missing; build the artifact again") from error
    except ValidationError as error:
        raise ArtifactError(f"{path} is damaged: {error.errors()[0]['msg']}; build the artifact again") from error
    if pretty(seal).encode("utf-8") != text or digest(seal.files) != seal.digest:
        raise ArtifactError(f"{path} was changed after it was written; build the artifact again")
    return seal


def missing(folder: Path, seal: Seal, scratch: bool = False) -> list[str]:
    """Files that are not there, not plain files, of another size, or not in the seal; no file is read.

    `scratch` allows names at the top that begin with a dot: those of a draft.
    """
    found = {name: path for name, path in disk.files_below(folder).items() if not (scratch and name.startswith("."))}
    problems = []
    for name, expected in seal.files.items():
        path = found.get(name)
        if path is None:
            problems.append(f"{folder / name} is missing")
        elif path.is_symlink():
            problems.append(f"{path} is not a plain file but a link; {UNLINK}")
        elif not path.is_file():
            problems.append(f"{path} is not a plain file")
        elif path.stat().st_size != expected.bytes:
            problems.append(f"{path} has {path.stat().st_size} bytes; it was sealed with {expected.bytes}")
    strangers = sorted(set(found) - set(seal.files) - {SEAL})
    return problems + [f"{folder / name} is not part of the artifact" for name in strangers]


def broken(folder: Path, outputs: tuple[str, ...] | None = None) -> list[str]:
    """Everything in which a folder differs from its seal, after reading every byte of it, or of some outputs."""
    try:
        seal = read_seal(folder)
    except ArtifactError as error:
        return [str(error)]
    problems = missing(folder, seal)
    for name, expected in seal.files.items():
        if outputs is None or name.partition("/")[0] in (*outputs, MANIFEST):
            problems += _other_bytes(folder / name, expected)
    return problems


def _other_bytes(path: Path, expected: FileDigest) -> list[str]:
    if path.is_symlink() or not path.is_file() or path.stat().st_size != expected.bytes:
        return []  # told already
    try:
        same = file_digest(path, sha256=expected.sha256 != "") == expected
    except OSError as error:
        return [f"{path} cannot be read: {error.strerror}"]
    return [] if same else [f"{path} has other bytes than those that were sealed"]
