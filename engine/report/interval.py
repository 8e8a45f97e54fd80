"""A piece of a training run, built again from one published checkpoint to a later one, and compared with the run."""

import shutil
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, final

from engine.artifacts.draft import Draft
from engine.artifacts.manifest import Manifest
from engine.artifacts.placement import Placement
from engine.artifacts.store import Store
from engine.compile.plan import Plan, PlannedRun
from engine.report.bisect import Side
from engine.report.seen import one
from engine.spec.errors import ArtifactError, SpecError
from engine.spec.layout import Layout
from engine.spec.philox import generator
from engine.train.job import Job
from engine.train.run import run_job
from engine.train.spec import TrainPlan
from engine.train.steplog import LOG, read_steps


@final
@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a run, rebuilt: whether it is equal, and where it first is not."""

    begin: int
    end: int
    steps: int
    differing_step: int
    """The first step whose record differs; 0 when none does."""
    differing_tensors: tuple[str, ...]
    """Of the first checkpoint that differs."""

    @property
    def equal(self) -> bool:
        return not self.differing_step and not self.differing_tensors

    def data(self) -> dict[str, Any]:
        return {
            "interval": [self.begin, self.end],
            "equal": self.equal,
            "steps": self.steps,
            "differing_step": self.differing_step or None,
            "differing_tensors": list(self.differing_tensors),
        }


def interval_named(text: str, stage: TrainPlan) -> tuple[int, int]:
    """The steps of `step-A..step-B`; SpecError unless both are kept checkpoints, in order."""
    ends = [part.removeprefix("step-") for part in text.split("..")]
    kept = stage.kept_steps()
    known = f"kept checkpoints are {', '.join(f'step-{step}' for step in kept)}"
    if len(ends) != 2 or not all(end.isascii() and end.isdecimal() for end in ends):
        raise SpecError(f"--interval {text!r}: write step-A..step-B; {known}")
    begin, end = int(ends[0]), int(ends[1])
    if begin not in kept or end not in kept or begin >= end:
        raise SpecError(f"--interval {text}: two kept checkpoints, the earlier first; {known}")
    return begin, end


def drawn(manifest: Manifest, stage: TrainPlan, count: int) -> list[tuple[int, int]]:
    """Intervals between neighbouring checkpoints, drawn by the digest of the run: nobody chose them."""
    kept = stage.kept_steps()
    pairs = list(pairwise(kept))
    stream = generator(int(manifest.content[:15], 16), "verify", "sample")
    order = stream.permutation(len(pairs))[:count]
    return sorted(pairs[int(number)] for number in order)


def rebuilt(
    plan: Plan, planned: PlannedRun, built: Store, rows: Store, interval: tuple[int, int], placement: Placement
) -> Piece:
    """Trains from one checkpoint of the built run to another, on rows of another store, in the placement's folder."""
    stage, name = planned.stage, f"{plan.name}/{planned.name}"
    assert isinstance(stage, TrainPlan)
    manifest = built.manifest(name)
    if manifest is None:
        raise ArtifactError(f"{name} is not built; get its checkpoints first (dvc checkout, or dvc pull)")
    begin, end = interval
    damage = built.verify_seal(name, (f"step-{begin}",))
    if damage:
        raise ArtifactError(f"the checkpoint to start from is damaged: {damage[0]}")
    out = placement.artifacts / f"interval-{begin}-{end}"
    out.mkdir(parents=True)
    (out / LOG).touch()
    job = Job(
        stage=stage,
        layout=stage.layout or placement.layout or planned.layout or Layout(),
        rows=str(rows_of(manifest, stage, rows)),
        checkpoint=str(built.folder(name) / f"step-{begin}"),
        written=True,
        parent=manifest.outputs[f"step-{begin}"].digest,
        last=end,
        out=str(out),
    )
    run_job(job, Draft(out), placement, end - begin)
    piece = compared(Side(name, built.folder(name), manifest), Draft(out), begin, end)
    shutil.rmtree(out)
    return piece


def rows_of(manifest: Manifest, stage: TrainPlan, rows: Store) -> Path:
    """The folder of the rows; ArtifactError unless they are, by their digest, what the run read."""
    read = one(manifest, str(stage.rows))
    found = rows.manifest(read.run)
    digest = None if found is None else found.outputs[read.output].digest
    if digest != read.digest:
        now = "are not there" if digest is None else f"are {digest[:12]}"
        raise ArtifactError(f"{manifest.run} read rows {read.digest[:12]} of {read.run}; those here {now}")
    return rows.folder(read.run) / read.output


def compared(run: Side, out: Draft, begin: int, end: int) -> Piece:
    """What was rebuilt against what the run has."""
    known = run.steps()
    found = read_steps(out.folder / LOG, begin + 1)
    step = next((step.step for step in found if known.get(step.step) != step), 0)
    outputs = out.outputs()
    tensors: tuple[str, ...] = ()
    for at in run.checkpoints():
        name = f"step-{at}"
        if begin < at <= end and not tensors and outputs[name] != run.manifest.outputs[name]:
            again = Side(run.name, out.folder, run.manifest.replace(outputs=outputs))
            before, after = run.tensors(at), again.tensors(at)
            tensors = tuple(f"step-{at}/{key}" for key in before if before[key] != after.get(key)) or (
                f"step-{at}/state.json",
            )
    assert len(found) == end - begin, "the rebuilt piece has not logged every step"
    return Piece(begin, end, len(found), step, tensors)
