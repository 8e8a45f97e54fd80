"""The `train` stage: checks its rows, finds where to go on, starts the ranks, and reports from their log. No torch."""

from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import assert_never

from pydantic import JsonValue

from engine.artifacts.digest import file_digest
from engine.artifacts.disk import write_whole
from engine.artifacts.draft import Draft
from engine.artifacts.placement import Placement
from engine.artifacts.progress import progress
from engine.artifacts.read import Inputs
from engine.models.init import parameter_shapes
from engine.spec.canonical import canonical, pretty
from engine.train.checkpoint import State, check_same_model, check_weights, output_name, read_state
from engine.train.data import Rows, batch_digest, enough_rows
from engine.train.job import FAILURE, FAILURE_BYTES, JOB, WORKER_LOG, Job
from engine.train.launch import check_ended, follow, ranks
from engine.train.spec import FromCheckpoint, FromScratch, FromWeights, TrainPlan
from engine.train.spikes import deferred_chunks, summary
from engine.train.steplog import ABANDONED, LOG, Step, lines, metrics, read_steps


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a run goes on: a step, the folder of its checkpoint (none: draw weights), and whether it is our own."""

    step: int
    folder: Path | None
    written: bool
    new_stage: bool = False


def run_train(stage: TrainPlan, inputs: Inputs, out: Draft, placement: Placement) -> dict[str, JsonValue]:
    """Trains, or goes on from the last whole checkpoint that a killed run left in the draft."""
    rows = inputs.one(stage.rows).folder
    enough_rows(stage, rows)
    reopen_log(out)
    out.discard_unfinished()
    begin = beginning(stage, inputs, out)
    if begin.step < stage.steps or not begin.written:
        train(stage, rows, begin, out, placement)
    return finish(stage, out)


def beginning(stage: TrainPlan, inputs: Inputs, out: Draft) -> Beginning:
    """The last whole checkpoint of the draft, else the one that the spec names, else nothing; the rest is discarded."""
    whole = whole_checkpoints(stage, inputs.one(stage.rows).folder, out)
    for output in set(out.closed()) - {output_name(step) for step in whole}:
        out.discard(output)
    if whole:
        cut_log(stage, out, whole[-1])
        return Beginning(whole[-1], out.folder / output_name(whole[-1]), written=True)
    cut_log(stage, out, stage.first_step())
    match stage.start:
        case FromCheckpoint(checkpoint=ref):
            folder = inputs.one(ref).folder
            check_same_model(stage, parameter_shapes(stage.model), folder)
            return Beginning(stage.first_step(), folder, written=False)
        case FromWeights(checkpoint=ref):
            folder = inputs.one(ref).folder
            check_weights(stage, parameter_shapes(stage.model), folder)
            return Beginning(0, folder, written=False, new_stage=True)
        case FromScratch():
            return Beginning(0, None, written=False)
        case _:
            assert_never(stage.start)


def whole_checkpoints(stage: TrainPlan, rows: Path, out: Draft) -> tuple[int, ...]:
    """Kept steps, from the first without a gap, whose checkpoints have their bytes and whose steps are all logged.

    A step counts as logged only with the batch that the rows give now: a run may have been killed on edited rows.
    """
    closed, files = set(out.closed()), out.files()
    steps = read_steps(out.folder / LOG, stage.first_step() + 1)
    logged = Logged(stage, rows, steps)
    whole = []
    for step in stage.saved_steps():
        name = output_name(step)
        own = {path: found for path, found in files.items() if path.startswith(f"{name}/")}
        fine = name in closed and all(
            file_digest(out.folder / p, found.sha256 != "") == found for p, found in own.items()
        )
        if fine and step - stage.first_step() <= logged.count(read_state(out.folder / name)):
            whole.append(step)
        elif step in stage.kept_steps():
            break
    return tuple(whole)


class Logged:
    """How many steps of a log have the batch that the rows give, in the order that a state descends from."""

    def __init__(self, stage: TrainPlan, rows: Path, steps: tuple[Step, ...]) -> None:
        self._counts: dict[tuple[int, ...], int] = {}
        self._stage, self._rows, self._steps = stage, rows, steps

    def count(self, state: State) -> int:
        """Steps from the first on."""
        deferred = deferred_chunks(state.events)
        if deferred not in self._counts:
            batches = Rows(self._rows, self._stage, deferred)
            same = takewhile(lambda step: step.batch == batch_digest(batches.batch(step.step)), self._steps)
            self._counts[deferred] = sum(1 for _ in same)
        return self._counts[deferred]


def cut_log(stage: TrainPlan, out: Draft, step: int) -> None:
    """Takes every step after this one out of the log."""
    steps = read_steps(out.folder / LOG, stage.first_step() + 1)[: step - stage.first_step()]
    write_whole(out.folder / LOG, lines(steps).decode("ascii"))


def train(stage: TrainPlan, rows: Path, begin: Beginning, out: Draft, placement: Placement) -> None:
    """Starts the ranks on what is left to do and shows their progress."""
    layout = stage.layout or placement.layout
    assert layout is not None, "under `regroup` a run is given its layout"
    job = Job(
        stage=stage,
        layout=layout,
        rows=str(rows.resolve()),
        checkpoint="" if begin.folder is None else str(begin.folder.resolve()),
        new_stage=begin.new_stage,
        written=begin.written,
        out=str(out.folder.resolve()),
    )
    run_job(job, out, placement, stage.steps - begin.step)


def run_job(job: Job, out: Draft, placement: Placement, steps: int) -> None:
    """Runs a job on ranks of its own and shows its progress over so many steps; ArtifactError when they fail."""
    failure, log = out.folder / FAILURE, out.folder / WORKER_LOG
    failure.write_bytes(b" " * FAILURE_BYTES)
    write_whole(out.folder / JOB, pretty(job))
    with ranks((out.folder / JOB,), job.layout.world, log, placement.root) as process:
        for _ in progress(follow(process, out.folder / LOG), steps, "steps", "train"):
            pass
        check_ended(process, failure, log)


def reopen_log(out: Draft) -> None:
    """Takes a finished log back, when a run was killed between its end and its commit."""
    finished = out.folder / "log" / "steps.jsonl"
    if "log" in out.closed():
        write_whole(out.folder / LOG, finished.read_text(encoding="utf-8"))
        out.discard("log")


def finish(stage: TrainPlan, out: Draft) -> dict[str, JsonValue]:
    """Closes the log, removes what is not an output, and gives the metrics."""
    steps = read_steps(out.folder / LOG, stage.first_step() + 1)
    with out.file("log", "steps.jsonl") as file:
        file.write(lines(steps))
    found = metrics(steps, stage.tokens_per_step)
    if stage.spikes is not None:
        found["spikes"] = write_spikes(stage, out)
    out.close("log")
    for name in (JOB, LOG, WORKER_LOG, FAILURE):
        (out.folder / name).unlink(missing_ok=True)
    return found


def write_spikes(stage: TrainPlan, out: Draft) -> dict[str, JsonValue]:
    """The spikes of a run with what was done about them, and the steps that were taken back; gives their counts."""
    events = read_state(out.folder / output_name(stage.steps)).events
    with out.file("log", "spikes.jsonl") as file:
        file.write(b"".join(canonical(event) + b"\n" for event in events))
    abandoned = 0
    for number in range(1, 1 + sum(1 for event in events if event.remedy != "none")):
        steps = read_steps(out.folder / ABANDONED.format(number), None)
        abandoned += len(steps)
        with out.file("log", f"abandoned-{number}.jsonl") as file:
            file.write(lines(steps))
    for path in out.folder.glob(ABANDONED.format("*")):
        path.unlink()
    return summary(events, abandoned)
