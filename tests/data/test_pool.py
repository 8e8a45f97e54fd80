"""The pool: results in order, and no worker outlives a killed parent."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import pytest

from engine.artifacts.placement import Placement
from engine.data.pool import in_order
from engine.spec.errors import ArtifactError
from tests.data.built import placement

ROOT = Path(__file__).parent.parent.parent
PARENT = """
import sys
from pathlib import Path
from engine.data.pool import in_order
from tests.data.built import placement
from tests.data.test_pool import say_and_wait
if __name__ == "__main__":
    list(in_order(say_and_wait, [(n, sys.argv[1]) for n in range(9)], placement(Path(sys.argv[1]), 2)))
"""


def say_and_wait(folder: str) -> None:
    """Leaves the id of this process, then works for long."""
    (Path(folder) / str(os.getpid())).touch()
    sleep(60)


def test_results_come_in_the_order_of_the_work(tmp_path: Path) -> None:
    work = [(n, -n) for n in range(20)]
    assert (
        list(in_order(abs, work, placement(tmp_path, 2)))
        == list(in_order(abs, work, placement(tmp_path)))
        == [(n, n) for n in range(20)]
    )


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    (tmp_path / "workers").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, str(script), str(tmp_path / "workers")], env=environment)
    workers = waited(lambda: [int(path.name) for path in (tmp_path / "workers").iterdir()], 2)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    waited(lambda: [n for n in workers if running(n)], 0)


def running(process: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def waited(found: Callable[[], list[int]], count: int) -> list[int]:
    """What is found as soon as there are so many; fails after half a minute."""
    end = monotonic() + 30
    while len(now := found()) != count:
        assert monotonic() < end, now
        sleep(0.05)
    return now


def die(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_killed_worker_is_told_with_what_to_do() -> None:
    with pytest.raises(ArtifactError, match=r"a worker process was killed.*FACSIMILE_WORKERS"):
        list(in_order(die, ((n, n) for n in range(4)), Placement(Path(), Path(), Path(), None, (), 2)))
