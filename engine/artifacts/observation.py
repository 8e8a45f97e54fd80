"""What was seen of a run and must not be part of its identity: time, host, commit, cost. Beside the artifact."""

import datetime
import math
import resource
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, assert_never

import numpy as np
from pydantic import JsonValue, ValidationError

from engine.artifacts.disk import write_whole
from engine.artifacts.manifest import ArrayPart, FilePart, Manifest, Part, TablePart, TensorsPart
from engine.artifacts.toolchain import Toolchain
from engine.spec.base import Spec
from engine.spec.canonical import digest, pretty
from engine.spec.errors import ArtifactError
from engine.spec.units import Index, NonNegative, Sha256

PATCH_CHARS = 1 << 20  # a longer patch is cut, and says so

OBSERVED = ".observed.json"
"""Where a stage writes, in its draft, what it measured about itself; it lies outside the hashed outputs."""


class CodeState(Spec):
    """The project's checkout: its commit, and what differs from it. Empty where it is no Git checkout."""

    commit: str
    dirty: bool
    patch: str
    untracked: tuple[str, ...]


class Cost(Spec):
    """Peak memory is that of this process, and of the largest of its children."""

    seconds: NonNegative
    peak_bytes: Index
    children_peak_bytes: Index
    content_bytes: Index
    content_bytes_per_second: NonNegative


class Observation(Spec):
    """One build of one run. `measured` is what the stage says of itself: throughput, kernels, settings in effect."""

    format: Literal[1]
    run: str
    recipe: Sha256
    content: Sha256
    started: str  # UTC, ISO 8601
    host: str
    argv: tuple[str, ...]
    code: CodeState
    cost: Cost
    toolchain: Toolchain
    measured: dict[str, JsonValue]

    @property
    def seconds(self) -> float:
        """Wall time of the build."""
        return self.cost.seconds


class _Sealed(Spec):
    digest: Sha256
    observation: Observation


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """When a run began, by the clock and by the monotonic one."""

    started: str
    at: float

    @classmethod
    def start(cls) -> Self:
        now = datetime.datetime.now(datetime.UTC)  # noqa: TID251 (this file is where clocks belong)
        return cls(now.isoformat(timespec="seconds"), time.monotonic())


def observe(
    path: Path,
    run: str,
    manifest: Manifest,
    toolchain: Toolchain,
    watch: Stopwatch,
    root: Path,
    argv: tuple[str, ...],
    measured: Mapping[str, JsonValue],
) -> Observation:
    """Writes the observation of a run that has just ended; `root` is the project folder."""
    seen = Observation(
        format=1,
        run=run,
        recipe=manifest.recipe,
        content=manifest.content,
        started=watch.started,
        host=socket.gethostname(),
        argv=argv,
        code=code_state(root),
        cost=_cost(manifest, time.monotonic() - watch.at),
        toolchain=toolchain,
        measured=dict(measured),
    )
    write_whole(path, pretty(_Sealed(digest=digest(seen), observation=seen)))
    return seen


def read_observation(path: Path) -> Observation | None:
    """The observation at a path, None when there is none; ArtifactError when one bit of it has changed."""
    try:
        text = path.read_bytes()
        sealed = _Sealed.model_validate_json(text)
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ArtifactError(f"{path} is damaged ({error.errors()[0]['msg']}); remove it") from error
    if pretty(sealed).encode("utf-8") != text or digest(sealed.observation) != sealed.digest:
        raise ArtifactError(f"{path} was changed after it was written; remove it")
    return sealed.observation


def code_state(root: Path) -> CodeState:
    """The state of the Git checkout that a folder lies in."""
    commit = _git(root, "rev-parse", "HEAD").strip()
    if not commit:
        return CodeState(commit="", dirty=False, patch="", untracked=())
    patch = _git(root, "diff", "--no-ext-diff", "HEAD")
    untracked = _git(root, "ls-files", "--others", "--exclude-standard", "-z")
    if len(patch) > PATCH_CHARS:
        patch = patch[:PATCH_CHARS] + f"\n[cut: {len(patch)} characters in all]\n"
    names = tuple(name for name in untracked.split("\0") if name)
    return CodeState(commit=commit, dirty=bool(patch or names), patch=patch, untracked=names)


def _git(root: Path, *words: str) -> str:
    """What Git prints; empty where there is no Git, no checkout or no commit."""
    if shutil.which("git") is None:
        return ""
    command = ["git", "--no-optional-locks", "-C", str(root), *words]
    done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


def _cost(manifest: Manifest, seconds: float) -> Cost:
    total = sum(_content_bytes(part) for output in manifest.outputs.values() for part in output.parts.values())
    return Cost(
        seconds=round(seconds, 3),
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,  # Linux counts in KiB
        children_peak_bytes=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
        content_bytes=total,
        content_bytes_per_second=round(total / seconds, 1) if seconds else 0.0,
    )


def _content_bytes(part: Part) -> int:
    match part:
        case TablePart() | FilePart():
            return part.bytes
        case ArrayPart():
            return math.prod(part.shape) * np.dtype(part.dtype).itemsize
        case TensorsPart():
            return sum(math.prod(item.shape) * np.dtype(item.dtype).itemsize for item in part.tensors.values())
        case _:
            assert_never(part)
