"""A version of the engine: a git revision, or a folder of a checkout as it is now, copied where nobody edits it."""

import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.cli.golden import commit_of, plan_in
from engine.spec.errors import SpecError

PARTS = ("engine", "specs")  # of a checkout, that make a version
COMPILED = "*/*.plan.json"


@dataclass(frozen=True, slots=True)
class Version:
    """`root` has its own copy of `engine/`; `runs` are those of its golden plans, by experiment/stage[cell]."""

    name: str
    commit: str  # empty where no commit holds the engine as it is
    root: Path
    runs: Mapping[str, Mapping[str, Any]]


def version(text: str, project: Path, scratch: Path) -> Version:
    """The version that a word of the command line names, copied into a scratch folder."""
    folder = Path(text)
    if all((folder / part).is_dir() for part in PARTS):
        commit = commit_in(folder)
        shutil.copytree(folder / "engine", scratch / "engine")
        return Version(text, commit, scratch, golden_runs(text, folder))
    try:
        commit = commit_of(project, text)
    except SpecError as error:
        if folder.is_dir():
            raise SpecError(f"{text} has no {' and '.join(PARTS)}; name the folder of a checkout") from error
        raise
    checked_out(project, commit, scratch)
    return Version(text, commit, scratch, golden_runs(text, scratch))


def commit_in(folder: Path) -> str:
    """The commit that holds the engine of a checkout as it is; empty when none does."""
    if shutil.which("git") is None or not _git(folder, "ls-files", "engine").stdout:
        return ""
    edited = _git(folder, "status", "--porcelain", "--", "engine").stdout
    return "" if edited else _git(folder, "rev-parse", "HEAD").stdout.strip()


def _git(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = ["git", "--no-optional-locks", "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def checked_out(project: Path, commit: str, scratch: Path) -> None:
    """Engine and plans of a revision; without a worktree, so that nothing is left in .git and no hook runs."""
    scratch.mkdir()
    archive = scratch / "revision.tar"
    done = _git(project, "archive", "--format=tar", f"--output={archive.resolve()}", commit, "--", *PARTS)
    if done.returncode:
        raise SpecError(f"{commit[:12]} has no {' and '.join(PARTS)} in the folder of this project")
    with tarfile.open(archive) as opened:
        for member in opened:
            data = opened.extractfile(member) if member.isfile() else None
            if data is not None:
                path = scratch / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data.read())
    archive.unlink()


def golden_runs(name: str, folder: Path) -> dict[str, Mapping[str, Any]]:
    """The runs of all golden plans of a checkout."""
    paths = sorted((folder / "specs").glob(COMPILED))
    if not paths:
        raise SpecError(f"{name} has no golden plans; run facsimile compile there")
    return dict(run for path in paths for run in _runs(path))


def _runs(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    plan = plan_in(path.read_text("utf-8"), str(path))
    for run, entry in plan["runs"].items():
        yield f"{plan['experiment']}/{run}", entry
