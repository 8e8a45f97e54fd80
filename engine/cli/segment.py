"""Runs one segment of a stage by whichever engine stands first on PYTHONPATH; started by the path of this file.

So two versions of the engine do the same work on the same inputs: `facsimile equate` starts this file twice. What it
imports is the other version's, with the classes, the dispatch and the closed environment of that version.
"""

import _thread
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import JsonValue, TypeAdapter

import engine
from engine.artifacts.disk import write_whole
from engine.artifacts.draft import Draft
from engine.artifacts.environment import closed_environment
from engine.artifacts.placement import Placement
from engine.artifacts.read import Input, Inputs
from engine.artifacts.store import Store
from engine.compile.code import CodeIndex
from engine.compile.plan import ENTRY
from engine.dispatch import run_stage
from engine.experiment import Lowered
from engine.run import refuse_numerics, toolchain_of
from engine.spec.base import Spec
from engine.spec.canonical import canonical, plain, pretty
from engine.spec.errors import ArtifactError, FacsimileError
from engine.spec.numerics import Numerics
from engine.train.steplog import LOG

CLOSED = "closed"  # the last word of a command line whose environment is closed
POLL_SECONDS = 0.2
FAILED, INTERRUPTED = 1, 130


class Job(Spec):
    """What is to be run; written by one version of the engine and read by another, so in plain words. Paths are whole.

    `outputs` are all that the stage has, or those of a training up to a checkpoint, at which it is stopped.
    """

    stage: dict[str, JsonValue]
    code: str
    """The code digest that the golden plan of this version gives the stage."""
    inputs: dict[str, tuple[tuple[str, str], ...]]
    """By reference, the run and the output of each of its sources."""
    outputs: tuple[str, ...]
    whole: bool
    root: str
    artifacts: str
    sources: str
    mirrors: tuple[str, ...]
    workers: int
    draft: str
    answer: str


class Told(Spec):
    """What the segment gave: outputs as manifests have them, and of a training its log, as far as it came."""

    outputs: dict[str, dict[str, JsonValue]]
    metrics: dict[str, JsonValue]
    log: str
    toolchain: str
    facts: dict[str, str]


def main(words: list[str]) -> int:
    """Closes the environment, then runs the job."""
    job = Job.model_validate_json(Path(words[0]).read_bytes())
    if words[1:] != [CLOSED]:
        closed = closed_environment(Numerics.model_validate_json(canonical(job.stage.get("numerics", {}))), os.environ)
        os.execve(sys.executable, [sys.executable, "-P", __file__, words[0], CLOSED], closed)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
    try:
        write_whole(Path(job.answer), pretty(told(job)))
    except FacsimileError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def told(job: Job) -> Told:
    """Runs the segment."""
    stage: Lowered = TypeAdapter[Any](Lowered).validate_json(canonical(job.stage))
    refuse_other_code(stage, job)
    used = toolchain_of(stage)
    refuse_numerics(stage, used)
    inputs, draft = open_inputs(job.inputs, Store(Path(job.artifacts))), Draft(Path(job.draft))
    draft.folder.mkdir(parents=True)
    metrics = run_until(stage, inputs, draft, placement(job), job)
    outputs = {name: plain(output) for name, output in draft.outputs().items() if name in job.outputs}
    return Told(
        outputs=outputs,
        metrics=metrics,
        log=read_log(draft.folder),
        toolchain=used.digest,
        facts=used.facts,
    )


def refuse_other_code(stage: Lowered, job: Job) -> None:
    """ArtifactError when this engine is not the one that the golden plan was compiled by: the proof would be of it."""
    found = CodeIndex(Path(engine.__file__).parent).reach(ENTRY, stage).digest
    if found != job.code:
        raise ArtifactError(
            f"its golden plan has code {job.code[:12]}, its engine is {found[:12]}; run facsimile compile there"
        )


def open_inputs(inputs: Mapping[str, tuple[tuple[str, str], ...]], store: Store) -> Inputs:
    """What lies in data/artifacts, by whatever recipe it was made: both versions read the same."""
    return Inputs({ref: tuple(opened(*source, store) for source in sources) for ref, sources in inputs.items()})


def opened(run: str, output: str, store: Store) -> Input:
    """One built output."""
    manifest = store.manifest(run)
    if manifest is None or output not in manifest.outputs:
        raise ArtifactError(f"{run}@{output} is not built; build it first")
    ref = f"{run.partition('/')[2]}@{output}"
    return Input(ref, run, output, store.folder(run) / output, manifest.outputs[output].digest, manifest)


def placement(job: Job) -> Placement:
    """Where the stage runs, on this host alone."""
    return Placement(
        root=Path(job.root),
        artifacts=Path(job.artifacts),
        sources=Path(job.sources),
        results=None,
        mirrors=tuple(map(Path, job.mirrors)),
        workers=job.workers,
    )


def run_until(stage: Lowered, inputs: Inputs, draft: Draft, place: Placement, job: Job) -> dict[str, JsonValue]:
    """The metrics of a whole stage; of a training that is stopped when its wanted outputs are closed, none."""
    if job.whole:
        return run_stage(stage, inputs, draft, place)
    ended, stopped = threading.Event(), threading.Event()

    def watch() -> None:
        while not ended.wait(POLL_SECONDS):
            if set(job.outputs) <= set(draft.closed()):
                stopped.set()
                _thread.interrupt_main()
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        run_stage(stage, inputs, draft, place)
        ended.set()
        watcher.join()  # an interrupt that is under way comes here, where it is expected
    except KeyboardInterrupt:
        if not stopped.is_set():
            raise
    finally:
        ended.set()
    return {}


def read_log(folder: Path) -> str:
    """The lines of a training, which may have come to its end before it was stopped; empty for other stages."""
    paths = (folder / LOG, folder / "log" / "steps.jsonl")
    return next((path.read_text("utf-8") for path in paths if path.is_file()), "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
