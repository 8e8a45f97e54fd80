"""A Python program that nobody vouches for, run without network, without writing outside its folder, and with an end.

Linux alone offers this to a plain user: namespaces for network, processes and mounts, Landlock for the file system,
resource limits for time, memory and files, a filter of system calls against more processes. Where one of them is
missing nothing is run: ArtifactError says which.
"""

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
    """What a program may use; `seconds` of wall clock and of processor time alike."""

    seconds: float = 3.0
    memory_bytes: int = 1 << 30
    file_bytes: int = 1 << 20


def passes(program: str, limits: Limits) -> bool:
    """Whether a program runs to its last line in the sandbox; an exception, an early exit and a timeout are no."""
    with tempfile.TemporaryDirectory(prefix="facsimile-") as name:
        folder = Path(name)
        (folder / "program.py").write_text(program, encoding="utf-8")
        code, told = _launch(folder, limits)
    if code == NO_SANDBOX:
        raise ArtifactError(
            f"generated code is only run in a sandbox, and this machine offers none: {told.strip()}; "
            "leave the task out, or run on Linux with user namespaces and Landlock"
        )
    return code == PASSED


def check_sandbox() -> None:
    """ArtifactError when this machine has no sandbox; known before a model has spent hours on programs."""
    if not passes("x = 1\n", Limits(seconds=20.0)):
        raise ArtifactError("the sandbox for generated code does not run even an empty program on this machine")


def _launch(folder: Path, limits: Limits) -> tuple[int, str]:
    """Exit code and message of the launcher, which ends the program when its time is over."""
    root = Path(__file__).parents[4]  # the folder that holds the package `engine`
    words = (folder, limits.seconds, limits.memory_bytes, limits.file_bytes)
    command = [sys.executable, "-B", "-m", LAUNCHER, *map(str, words)]
    process = subprocess.Popen(
        command,
        cwd=root,
        env={"PATH": os.defpath, "HOME": str(folder), "TMPDIR": str(folder), "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _, told = process.communicate(timeout=limits.seconds + GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its program dies with it
        process.communicate()
        raise ArtifactError(
            f"the sandbox did not end within {limits.seconds + GRACE_SECONDS:g} s; is the machine busy? Run again"
        ) from None
    return process.returncode, told.decode("utf-8", "replace")[-1000:]
