"""Builds every run of a project's toy experiment, and notes which code of the engine works for each.

`python -m tests.compile.tracing PROJECT FOLDER` leaves `<FOLDER>/<run>.json`: file, name and first line of each code
object that was called between the call of `run_stage` and its return, in every thread, and in the ranks of training.
What an import runs is left out: it binds names, and a test sees to it that it does nothing else.
"""

import json
import runpy
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import engine

ENGINE = Path(engine.__file__).parent
IMPORTING = "<frozen importlib._bootstrap>"


class Tracer:
    """Collects the code objects of engine files that are called while it is on."""

    def __init__(self) -> None:
        self._files = f"{ENGINE}/"
        self._seen: set[CodeType] = set()

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        is_new = event == "call" and code.co_filename.startswith(self._files) and code not in self._seen
        if is_new and not is_importing(frame):
            self._seen.add(code)

    @contextmanager
    def on(self) -> Iterator[None]:
        """Notes calls in this thread, and in those that it starts."""
        threading.setprofile(self)
        sys.setprofile(self)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # type: ignore[arg-type]

    def write(self, path: Path) -> None:
        called = {(code.co_filename, code.co_qualname, code.co_firstlineno) for code in self._seen}
        path.write_text(json.dumps(sorted(called)))


def is_importing(frame: FrameType | None) -> bool:
    """Whether an import statement is at work around a call."""
    while frame is not None:
        if frame.f_code.co_filename == IMPORTING:
            return True
        frame = frame.f_back
    return False


def build(project: Path, folder: Path) -> None:
    """Every run of the plan, in order."""
    from engine import run
    from engine.artifacts.placement import Placement
    from engine.compile.code import CodeIndex
    from engine.compile.plan import compile_spec
    from engine.train import launch

    specs, data = project / "specs", project / "data"
    plan = compile_spec(specs / "toy" / "toy.yaml", specs, CodeIndex(ENGINE))
    placement = Placement(root=project, artifacts=data / "artifacts", sources=data / "sources", results=None)
    run_stage, command, name = run.run_stage, launch.command, ""

    def traced_stage(*arguments: Any) -> Any:
        tracer = Tracer()
        with tracer.on():
            metrics = run_stage(*arguments)
        tracer.write(folder / f"{name}.json")
        return metrics

    def traced_command(jobs: tuple[Path, ...], world: int) -> list[str]:
        words = command(jobs, world)
        at = words.index(launch.WORKER)
        return [*words[:at], "tests.compile.tracing", "--rank", str(folder / f"{name}.rank.json"), *words[at + 1 :]]

    run.run_stage, launch.command = traced_stage, traced_command
    for name in plan.runs:
        run.run_all(plan, name, placement, (), print)


def work(report: Path) -> None:
    """A rank: the real worker, run as the launcher runs it."""
    from engine.train.launch import WORKER

    tracer = Tracer()
    with tracer.on():
        runpy.run_module(WORKER, run_name="__main__")
    tracer.write(report)


if __name__ == "__main__":
    if sys.argv[1] == "--rank":
        _, _, place, *sys.argv[1:] = sys.argv
        work(Path(place))
    else:
        build(Path(sys.argv[1]), Path(sys.argv[2]))
