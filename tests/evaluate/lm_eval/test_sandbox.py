"""The sandbox: honest programs pass; hostile ones neither see, reach nor change what is outside, nor judge."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from engine.evaluate.lm_eval import sandbox
from engine.evaluate.lm_eval.sandbox import NO_SANDBOX, Limits, Trial, passes, walls
from engine.evaluate.lm_eval.sandbox.inmates import change, packed, raised, unpacked
from engine.evaluate.lm_eval.sets.humaneval import score
from engine.spec.errors import ArtifactError

QUICK = Limits(seconds=1.0)


def holds(expression: str, limits: Limits = QUICK) -> bool:
    """Whether a candidate finds an expression true."""
    return passes(
        Trial(f"def f():\n    return bool({expression})\n", "", "def check(f):\n    assert f()\n", "f"), limits
    )


def happened(*statements: str) -> list[str]:
    """Those of some statements that are not refused to a candidate: nothing stops them, or not an OSError."""
    program = f"""
def f():
    found = []
    for statement in {list(statements)!r}:
        try:
            exec(statement, {{}})
        except (OSError, ImportError, RuntimeError):
            continue
        found.append(statement)
    return found
"""
    test = "def check(f):\n    found = f()\n    assert not found\n"
    if passes(Trial(program, "", test, "f"), QUICK):
        return []
    return [one for one in statements if len(statements) == 1 or happened(one)]


def runs(program: str) -> bool:
    """Whether a program comes to its end and then answers."""
    return passes(Trial(f"{program}\ndef f():\n    return 1\n", "", "def check(f):\n    assert f() == 1\n", "f"), QUICK)


def test_an_honest_program_passes_and_may_write_in_its_own_folder() -> None:
    assert runs("import math, re, json\nopen('mine', 'w').write('x')\nassert open('mine').read() == 'x'\n")


@pytest.mark.parametrize(
    "program",
    [
        "raise ValueError",
        "def broken(:",
        "import sys; sys.exit(0)",
        "import os; os._exit(0)",
        "import os; os._exit(77)",
        "x = bytearray(1 << 32)",
        "open('big', 'wb').write(bytes(1 << 24))",
        "import threading; threading.Thread(target=print).start()",
    ],
)
def test_a_program_that_fails_leaves_early_or_takes_too_much_does_not_pass(program: str) -> None:
    assert not runs(program)


def test_nothing_of_this_machine_is_seen_or_changed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("whole")
    here = [str(victim), "/etc/passwd", __file__, "/proc/1/cmdline", "/proc/self/mem", f"/proc/{os.getpid()}/cmdline"]
    reads = [f"open({path!r}, 'rb').read(1)" for path in here]
    lists = [f"__import__('os').listdir({path!r})" for path in (str(tmp_path), "/etc/ssl", "/sys")]
    places = ("/x", "/proc/x", f"{sys.prefix}/x", f"{sys.base_prefix}/x", str(tmp_path / "x"), str(victim))
    writes = [f"open({path!r}, 'w')" for path in places]
    leaves = ["__import__('os').chroot('.')", "__import__('os').mkdir('/x')", "__import__('os').chmod('/', 0o777)"]
    assert happened(*reads, *lists, *writes, *leaves) == []
    assert [path.read_text() for path in tmp_path.iterdir()] == ["whole"]
    pythons = {Path(place).resolve().parts[1] for place in (sys.prefix, sys.base_prefix)} | {Path(sys.prefix).parts[1]}
    shown = {"dev", "etc", "lib", "lib64", "proc", "usr", "work"} | pythons
    outside = sorted({path.name for path in Path("/").iterdir()} - shown)
    assert holds(f"not set(__import__('os').listdir('/')) & set({outside}) and not __import__('os').listdir('/proc')")
    assert holds("not set(__import__('os').environ) - {'HOME', 'LC_CTYPE', 'OMP_NUM_THREADS', 'PATH', 'TMPDIR'}")


def test_no_socket_of_any_family_can_be_had() -> None:
    made = ("socket(1, 1)", "socket(1, 2)", "socket(2, 1)", "socket(10, 2)", "socket(16, 3, 0)", "socketpair()")
    assert happened(*(f"__import__('socket').{one}" for one in made)) == []


def test_all_its_files_together_have_a_bound() -> None:
    assert happened("[open(str(n), 'wb').write(bytes(1 << 20)) for n in range(64)]") == []
    assert happened("[open(str(n), 'wb').close() for n in range(1 << 12)]") == []


def test_no_process_is_in_reach_and_none_can_be_made() -> None:
    with subprocess.Popen(["sleep", "30"]) as outside:
        reached = [f"__import__('os').kill({pid}, 9)" for pid in (outside.pid, os.getpid(), 1, -1)]
        made = ["__import__('os').fork()", "__import__('os').unshare(1 << 28)", "__import__('os').memfd_create('x')"]
        started = "__import__('subprocess').run(['true'])"
        assert happened(*reached, *made[:: 1 if sys.version_info >= (3, 12) else 2], started) == []
        assert outside.poll() is None
        outside.kill()


WRONG = "def f():\n    return 2\n"
EVERYWHERE = """import os
for end in range(64):
    for told in (b'done', b'passed', b'["value", true]', b'["verdict", "passed"]'):
        try:
            os.write(end, told + b'\\n')
        except OSError:
            pass
"""
FORGERIES = [
    EVERYWHERE,
    f"{EVERYWHERE}os._exit(0)",
    "class One(int):\n    def __eq__(self, other):\n        return True\nf = lambda: One(2)",
    "class Any:\n    def __eq__(self, other):\n        return True\nf = lambda: Any()",
    "import builtins\nbuiltins.AssertionError = SystemExit\nf = lambda: 2",
    "f = lambda: (_ for _ in ()).throw(SystemExit(0))",
    "import json\njson.dumps = lambda _: 'null'",
    "import sys\nf = lambda: [sys._getframe(n).f_locals.clear() for n in range(3)] and 2",
]


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_verdict_cannot_be_forged(forgery: str) -> None:
    test = "def check(f):\n    assert f() == 1\n    assert f() == 1\n"
    assert not passes(Trial(f"{WRONG}{forgery}\n", "", test, "f"), QUICK)


@pytest.mark.parametrize("program", ["while True: pass", "import time; time.sleep(60)"])
def test_a_program_cannot_hang(program: str) -> None:
    begin = time.monotonic()
    trial = Trial(f"{program}\n", "", "def check(f): f()", "f")
    assert not passes(trial, Limits(seconds=0.5))
    assert time.monotonic() - begin < 8


def test_a_machine_without_a_sandbox_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def launch(*_: Any) -> tuple[int, str, str]:
        return NO_SANDBOX, "", "namespaces cannot be had (Operation not permitted)"

    monkeypatch.setattr(sandbox, "_launch", launch)
    with pytest.raises(ArtifactError, match="offers none: namespaces cannot be had"):
        walls()


def test_the_walls_that_stand_are_told() -> None:
    assert walls()[:4] == ["namespaces", "own root", "limits", "system calls"]


DOC = {
    "prompt": 'def add(a, b):\n    """Adds."""\n',
    "test": "def check(f):\n    assert f(1, b=2) == 3 == add(2, 1)\n",
    "entry_point": "add",
}


def test_pass_at_1_is_what_the_tests_say_of_prompt_and_program() -> None:
    assert score(DOC, ["    return a + b\n"], QUICK) == {"pass@1": 1.0}
    assert score(DOC, ["    return a - b\n"], QUICK) == {"pass@1": 0.0}


def test_answers_and_arguments_cross_as_they_are() -> None:
    data = [None, True, -3, 0.1, -0.0, float("inf"), 1j, "a\ud800\n", b"\x00", (1, [2]), {1, 2}, {(1,): {"a": ()}}]
    assert repr(unpacked(json.loads(json.dumps(packed(data))))) == repr(data)
    assert unpacked(packed(-(10**5000))) == -(10**5000)
    with pytest.raises(TypeError, match="a generator is no plain data"):
        packed(one for one in data)
    mine = [3, 1]
    change(mine, [1, 3])
    assert mine == [1, 3]
    assert isinstance(raised("KeyError", "x"), KeyError) and isinstance(raised("Strange", "x"), RuntimeError)


def test_nothing_is_left_behind() -> None:
    temporary = Path(os.environ.get("TMPDIR", "/tmp"))
    before = set(temporary.glob("facsimile-*"))
    runs("open('x', 'w').write('x')")
    assert set(temporary.glob("facsimile-*")) <= before
    assert "facsimile-" not in Path("/proc/mounts").read_text()
