"""Ranks of a run as processes, through DeepSpeed's launcher for one node, followed until they end.

`deepspeed` itself (its runner) would start this launcher after reading a hostfile and `~/.deepspeed_env`; a single
node needs neither, and starting the launcher at once saves the runner's import of torch.
"""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from engine.spec.errors import ArtifactError

WORKER = "engine.train.worker"
POLL_SECONDS = 0.2
TAIL_LINES = 15


@contextmanager
def ranks(jobs: tuple[Path, ...], world: int, log: Path, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The launcher's process, with the ranks below it; leaving the block ends whatever still runs."""
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command(jobs, world), stdin=subprocess.PIPE, stdout=sink, stderr=sink, env=environment(),
            cwd=folder, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        end(process)


def command(jobs: tuple[Path, ...], world: int) -> list[str]:
    """The command line of the launcher; ranks run the jobs one after another."""
    info = base64.urlsafe_b64encode(json.dumps({"localhost": list(range(world))}).encode()).decode()
    launcher = [sys.executable, "-m", "deepspeed.launcher.launch", f"--world_info={info}"]
    options = ["--master_addr=127.0.0.1", f"--master_port={free_port()}", "--no_local_rank", "--quiet", "--module"]
    return [*launcher, *options, WORKER, *map(str, jobs)]


def environment() -> Mapping[str, str]:
    """Our own environment, closed by the caller, and what DeepSpeed needs to run on a CPU from any folder."""
    ours = os.environ  # noqa: TID251 (handed on)
    paths = [str(Path(__file__).resolve().parents[2]), *filter(None, [ours.get("PYTHONPATH")])]
    return {**ours, "DS_ACCELERATOR": "cpu", "PYTHONPATH": os.pathsep.join(paths)}


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def follow(process: "subprocess.Popen[bytes]", log: Path) -> Iterator[None]:
    """Yields once for each line that the ranks add to a log, until they end; ArtifactError when they fail."""
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        code = None
        while code is None:
            code = process.poll()  # before the read, so that the lines of a finished run are all seen
            yield from (None for _ in range(file.read().count(b"\n")))
            if code is None:
                time.sleep(POLL_SECONDS)


def check_ended(process: "subprocess.Popen[bytes]", failure: Path, log: Path) -> None:
    """ArtifactError when the ranks failed: with their own words for people, or else with the end of their log."""
    if process.wait() == 0:
        return
    if failure.is_file() and (told := failure.read_text(encoding="utf-8", errors="replace").strip()):
        raise ArtifactError(told)
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
    raise ArtifactError(
        f"a training rank ended with code {process.returncode}; the last lines of {log}:\n" + "\n".join(lines)
    )


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ends the launcher and every rank; without effect when they have ended by themselves."""
    assert process.stdin is not None
    process.stdin.close()
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
