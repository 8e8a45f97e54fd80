"""A file at a commit of a Git repository, read through the `git` command; nothing is checked out."""

import subprocess
import tempfile
from pathlib import Path
from typing import IO

from engine.artifacts.placement import Placement
from engine.data.sources.receive import Origin, chunks_of, receive
from engine.data.sources.spec import GitFile
from engine.spec.errors import ArtifactError

_GIT = ("git", "-c", "core.askPass=true", "-c", "protocol.ext.allow=never")  # `true` answers a password with nothing


def copy(source: GitFile, placement: Placement, part: IO[bytes]) -> Origin:
    """Fetches the one commit into a scratch repository and copies the blob."""
    repository = source.repository
    if (placement.root / repository).exists():
        repository = str((placement.root / repository).resolve())
    with tempfile.TemporaryDirectory(dir=placement.sources, prefix=".git-") as folder:
        _fetch(source, repository, Path(folder))
        sha256 = _blob(source, Path(folder), part)
    return Origin(f"{source.repository} at {source.commit}", sha256)


def _fetch(source: GitFile, repository: str, folder: Path) -> None:
    where = f"--git-dir={folder}"  # said aloud, since a GIT_DIR of the caller would win otherwise
    _run(source, where, "init", "--quiet", "--bare")
    try:
        _run(source, where, "fetch", "--quiet", "--depth=1", "--no-tags", "--", repository, source.commit)
    except ArtifactError:  # some servers give out only branches and tags
        _run(source, where, "fetch", "--quiet", "--", repository, "+refs/*:refs/*")


def _blob(source: GitFile, folder: Path, part: IO[bytes]) -> str:
    name = f"{source.commit}:{source.path}"
    command = [*_GIT, f"--git-dir={folder}", "cat-file", "blob", name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        sha256 = receive(chunks_of(process.stdout), part)
        trouble = process.stderr.read().decode(errors="replace").strip()
    if process.returncode:
        raise ArtifactError(f"git source: {source.repository} has no file {name} ({trouble})")
    return sha256


def _run(source: GitFile, *arguments: str) -> None:
    try:
        done = subprocess.run([*_GIT, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise ArtifactError(f"the source {source.repository} needs the command `git`; install it") from error
    if done.returncode:
        raise ArtifactError(
            f"git source: cannot fetch {source.commit[:12]} from {source.repository} "
            f"({done.stderr.strip()}); check the address, or serve sha256 {source.sha256} by a mirror"
        )
