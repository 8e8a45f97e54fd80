"""A Python program that nobody vouches for, tested without network, without sight of this machine, and with an end.

Linux alone offers this to a plain user: namespaces for network, processes and mounts, a root folder of its own, a
filter of system calls, limits of time, memory and files. Where one of them is missing nothing is run: ArtifactError
says which. Landlock is a second wall round the file system; where the kernel has none, the first stands alone, and
`walls` says so. The verdict is that of a judge in another process (`inmates.py`), which the program cannot write.

What remains: a program may use processor and memory up to its limits, read Python's own installation and the system's
libraries, and answer a test that it knows by heart; and nothing here is proof against a fault of the kernel.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import final

from engine.spec.errors import ArtifactError

LAUNCHER = "engine.evaluate.lm_eval.sandbox.launcher"
PASSED, NO_SANDBOX = 0, 77  # exit codes of the launcher
GRACE_SECONDS = 10.0  # for the launcher's own start; a busy machine takes a second


@final
@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use; `seconds` of wall clock and of processor time alike, `disk_bytes` of all its files."""

    seconds: float = 3.0
    memory_bytes: int = 1 << 30
    file_bytes: int = 1 << 20
    disk_bytes: int = 1 << 24


@final
@dataclass(frozen=True, slots=True)
class Trial:
    """A program, and the test of its function `entry`: `check(entry)` of `test`, run after `prelude`."""

    program: str
    prelude: str
    test: str
    entry: str


EMPTY = Trial("def f():\n    return 1\n", "", "def check(f):\n    assert f() == 1\n", "f")


def passes(trial: Trial, limits: Limits) -> bool:
    """Whether a test comes to its end on a program; an exception, an early exit and a timeout are no."""
    code, _ = _run(trial, limits)
    return code == PASSED


def walls() -> list[str]:
    """What shuts programs in on this machine; ArtifactError when that is not enough.

    Asked before a model has spent hours on programs.
    """
    code, told = _run(EMPTY, Limits(seconds=20.0))
    if code != PASSED:
        raise ArtifactError("the sandbox for generated code does not run even an empty program on this machine")
    found: list[str] = json.loads(told)
    return found


def _run(trial: Trial, limits: Limits) -> tuple[int, str]:
    """Exit code of the launcher, and what it printed."""
    with tempfile.TemporaryDirectory(prefix="facsimile-") as name:  # stays empty: it is mounted over
        code, told, trouble = _launch(Path(name), trial, limits)
    if code == NO_SANDBOX:
        raise ArtifactError(
            f"generated code is only run in a sandbox, and this machine offers none: {trouble.strip()}; "
            "leave the task out, or run on Linux with user namespaces"
        )
    return code, told


def _launch(folder: Path, trial: Trial, limits: Limits) -> tuple[int, str, str]:
    """Exit code, output and trouble of the launcher, which ends the program when its time is over."""
    root = Path(__file__).parents[4]  # the folder that holds the package `engine`
    words = (folder, limits.seconds, limits.memory_bytes, limits.file_bytes, limits.disk_bytes)
    request = {"program": trial.program, "prelude": trial.prelude, "test": trial.test, "entry": trial.entry}
    process = subprocess.Popen(
        [sys.executable, "-B", "-m", LAUNCHER, *map(str, words)],
        cwd=root,
        env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        told, trouble = process.communicate(json.dumps(request).encode(), limits.seconds + GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its program dies with it
        process.communicate()
        raise ArtifactError(
            f"the sandbox did not end within {limits.seconds + GRACE_SECONDS:g} s; is the machine busy? Run again"
        ) from None
    return process.returncode, told.decode(), trouble.decode("utf-8", "replace")[-1000:]
