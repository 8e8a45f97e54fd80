"""The sandbox: honest programs pass; hostile ones can neither write outside, nor connect, nor multiply, nor hang."""

import os
import socket
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from engine.evaluate.lm_eval import sandbox
from engine.evaluate.lm_eval.sandbox import NO_SANDBOX, Limits, check_sandbox, passes
from engine.evaluate.lm_eval.sets.humaneval import score
from engine.spec.errors import ArtifactError

QUICK = Limits(seconds=1.0)


def test_an_honest_program_passes_and_may_write_in_its_own_folder() -> None:
    assert passes("import math, re, json\nopen('mine', 'w').write('x')\nassert open('mine').read() == 'x'\n", QUICK)


@pytest.mark.parametrize(
    "program",
    [
        "raise ValueError\n",
        "assert 1 == 2\n",
        "def broken(:\n",
        "import sys; sys.exit(0)\n",
        "import os; os._exit(0)\n",
        "x = bytearray(1 << 32)\n",
        "open('big', 'wb').write(bytes(1 << 24))\n",
        "import os; os.fork()\n",
        "import threading; threading.Thread(target=print).start()\n",
        "import subprocess; subprocess.run(['true'])\n",
    ],
)
def test_a_program_that_fails_leaves_early_or_takes_too_much_does_not_pass(program: str) -> None:
    assert not passes(program, QUICK)


@pytest.mark.parametrize(
    "hostile",
    [
        "open({path!r}, 'w').write('x')",
        "open({path!r}, 'a').write('x')",
        "__import__('os').truncate({path!r}, 0)",
        "__import__('os').remove({path!r})",
        "__import__('os').rename({path!r}, {path!r} + '2')",
        "__import__('os').chmod({path!r}, 0o777)",
        "__import__('os').utime({path!r}, (1, 1))",
        "__import__('os').mkdir({path!r} + '-folder')",
        "__import__('os').symlink('/', {path!r} + '-link')",
    ],
)
def test_nothing_outside_its_folder_changes(tmp_path: Path, hostile: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("whole")
    before = victim.stat()
    assert not passes(hostile.format(path=str(victim)) + "\n", QUICK)
    after = victim.stat()
    assert victim.read_text() == "whole"
    assert (stat.S_IMODE(after.st_mode), after.st_mtime_ns) == (stat.S_IMODE(before.st_mode), before.st_mtime_ns)
    assert [path.name for path in tmp_path.iterdir()] == ["victim"]


def test_the_network_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not passes(f"import socket; socket.create_connection(('127.0.0.1', {port}), 0.5)\n", QUICK)


@pytest.mark.parametrize("program", ["while True: pass\n", "import time; time.sleep(60)\n"])
def test_a_program_cannot_hang(program: str) -> None:
    begin = time.monotonic()
    assert not passes(program, Limits(seconds=0.5))
    assert time.monotonic() - begin < 8


def test_processes_outside_are_out_of_reach() -> None:
    with subprocess.Popen(["sleep", "30"]) as outside:
        passes(f"import os\nos.kill({outside.pid}, 9)\n", QUICK)
        assert outside.poll() is None
        outside.kill()


def test_a_machine_without_a_sandbox_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def launch(*_: Any) -> tuple[int, str]:
        return NO_SANDBOX, "namespaces cannot be had (Operation not permitted)"

    monkeypatch.setattr(sandbox, "_launch", launch)
    with pytest.raises(ArtifactError, match="offers none: namespaces cannot be had"):
        check_sandbox()


def test_pass_at_1_is_prompt_program_and_tests() -> None:
    doc = {"prompt": "def add(a, b):\n", "test": "def check(f):\n    assert f(1, 2) == 3\n", "entry_point": "add"}
    assert score(doc, ["    return a + b\n"], QUICK) == {"pass@1": 1.0}
    assert score(doc, ["    return a - b\n"], QUICK) == {"pass@1": 0.0}


def test_nothing_is_left_behind() -> None:
    temporary = Path(os.environ.get("TMPDIR", "/tmp"))
    before = set(temporary.glob("facsimile-*"))
    passes("open('x', 'w').write('x')\n", QUICK)
    assert set(temporary.glob("facsimile-*")) <= before
