"""One segment run by two versions of the engine on the same inputs, and what of it differs first."""

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from engine.artifacts.placement import Placement
from engine.artifacts.read import Inputs
from engine.artifacts.store import Store
from engine.cli import segment
from engine.cli.changed import Runs, stage_of_plan
from engine.cli.segment import Job, Told
from engine.cli.verify import finished
from engine.cli.version import Version
from engine.compile.equivalence import Segment
from engine.experiment import Lowered
from engine.run import check_inputs
from engine.spec.canonical import digest, pretty
from engine.spec.diff import diff
from engine.spec.errors import ArtifactError, SpecError
from engine.train.checkpoint import output_name
from engine.train.spec import TrainPlan


@dataclass(frozen=True, slots=True)
class Span:
    """How far a run is run: its outputs, the steps of a training, and the last output of one that is stopped."""

    outputs: tuple[str, ...]
    steps: int = 0
    until: str = ""


@dataclass(frozen=True, slots=True)
class Proof:
    """A segment of which both versions gave the same, or what differs; and the toolchain that it ran on."""

    segment: Segment
    toolchain: str
    facts: Mapping[str, str]
    differences: tuple[str, ...]


def span(run: str, runs: Runs, until: str) -> Span:
    """All of a run; of a training, up to a checkpoint, by default the first after its start."""
    match stage := known_stage(run, runs):
        case TrainPlan():
            first, *later = stage.kept_steps()
            known = [output_name(step) for step in later]
            if until and until not in known:
                raise SpecError(f"--until {until}: {run} keeps {', '.join(known)}")
            last = later[known.index(until)] if until else later[0]
            if last == stage.steps:
                return Span(stage.outputs(), last - first)
            outputs = tuple(output_name(step) for step in (first, *later) if step <= last)
            return Span(outputs, last - first, output_name(last))
        case _:
            return Span(stage.outputs())


def known_stage(run: str, runs: Runs) -> Lowered:
    """The lowered stage of a run that was not refused."""
    stage = stage_of_plan(runs[run])
    assert stage is not None
    return stage


def prove(run: str, old: Version, new: Version, until: str, place: Placement, scratch: Path) -> Proof:
    """Runs the segment by both versions, and compares; `place` is the project whose artifacts are read."""
    stage, wanted, store = known_stage(run, new.runs), span(run, new.runs, until), Store(place.artifacts)
    inputs = segment.open_inputs(sources(run, new.runs), store)
    check_inputs(store, inputs)
    both = [driven(run, each, wanted, stage, place, scratch) for each in (old, new)]
    check_inputs(store, inputs, "changed while the stage ran; nothing was proven")
    before, after = (log_lines(each.log, wanted) for each in both)
    found = Segment(
        run=run,
        until=wanted.until,
        inputs=read_of(inputs),
        outputs={name: str(output["digest"]) for name, output in both[1].outputs.items()},
        metrics="" if wanted.until else digest(both[1].metrics),
        log=hashlib.sha256("".join(after).encode("utf-8")).hexdigest() if wanted.steps else "",
    )
    differences = (*first_of_outputs(wanted, *both), *first_of_metrics(*both), *first_of_logs(stage, before, after))
    return Proof(found, both[1].toolchain, both[1].facts, differences)


def sources(run: str, runs: Runs) -> dict[str, tuple[tuple[str, str], ...]]:
    """By reference, the runs and the outputs that a golden run reads."""
    experiment = run.partition("/")[0]
    pairs = {ref: [name.rpartition("@") for name in names] for ref, names in runs[run]["inputs"].items()}
    return {ref: tuple((f"{experiment}/{name}", output) for name, _, output in found) for ref, found in pairs.items()}


def built(run: str, runs: Runs, store: Store) -> bool:
    """Whether all that a run reads lies in data/artifacts, by whatever recipe."""
    try:
        segment.open_inputs(sources(run, runs), store)
    except ArtifactError:
        return False
    return True


def read_of(inputs: Inputs) -> dict[str, str]:
    """The content digest of every output that is read."""
    return {f"{item.run}@{item.output}": item.digest for ref in inputs.refs() for item in inputs.all(ref)}


def driven(run: str, by: Version, wanted: Span, stage: Lowered, place: Placement, scratch: Path) -> Told:
    """What one version gives; ArtifactError when it fails."""
    folder = scratch / digest([run, by.root.name])[:12]
    folder.mkdir()
    trains = isinstance(stage, TrainPlan)
    job = Job(
        stage=dict(by.runs[run]["stage"]),
        code=by.runs[run]["code"]["digest"],
        inputs=sources(run, by.runs),
        outputs=wanted.outputs,
        whole=not wanted.until,
        root=str(by.root if trains else place.root),  # ranks are started there, and find that engine first
        artifacts=str(place.artifacts),
        sources=str(place.sources),
        mirrors=tuple(map(str, place.mirrors)),
        workers=place.workers,
        draft=str(folder / "draft"),
        answer=str(folder / "told.json"),
    )
    (folder / "job.json").write_text(pretty(job), encoding="utf-8")
    print(f"{run} by {by.name}{f', to {wanted.until}' if wanted.until else ''}", file=sys.stderr, flush=True)
    command = [sys.executable, "-P", segment.__file__, str(folder / "job.json")]
    code = finished(command, folder, {**os.environ, "PYTHONPATH": _first(by.root, os.environ.get("PYTHONPATH", ""))})
    if code:
        raise ArtifactError(f"the engine of {by.name} did not run {run}; its messages stand above")
    return Told.model_validate_json(Path(job.answer).read_bytes())


def _first(root: Path, paths: str) -> str:
    return os.pathsep.join([str(root), *filter(None, [paths])])


def log_lines(log: str, wanted: Span) -> list[str]:
    """The lines up to the checkpoint: a training goes on a little before it is stopped."""
    return log.splitlines(keepends=True)[: wanted.steps]


def first_of_outputs(wanted: Span, old: Told, new: Told) -> Iterator[str]:
    """The first output that differs, and its first part or tensor by name."""
    for name in wanted.outputs:
        before, after = old.outputs[name], new.outputs[name]
        if before["digest"] != after["digest"]:
            yield f"output {name}: {first_part(before['parts'], after['parts'])}"
            return


def first_part(before: Any, after: Any) -> str:
    """The first part that differs; of one with tensors, the first of these."""
    for name in sorted({*before, *after}):
        one, other = before.get(name, {}), after.get(name, {})
        if one.get("digest") == other.get("digest"):
            continue
        tensors, others = one.get("tensors", {}), other.get("tensors", {})
        for tensor in sorted({*tensors, *others}):
            if tensors.get(tensor) != others.get(tensor):
                return f"tensor {tensor} of {name} differs"
        return f"{name} differs"
    return "its parts differ"


def first_of_metrics(old: Told, new: Told) -> Iterator[str]:
    """The first metric that differs."""
    yield from (f"metric {change}" for change in list(diff(old.metrics, new.metrics))[:1])


def first_of_logs(stage: Lowered, before: list[str], after: list[str]) -> Iterator[str]:
    """The first step whose line in the log differs, and in what."""
    assert not before or isinstance(stage, TrainPlan)
    for number, (one, other) in enumerate(zip_longest(before, after, fillvalue="{}"), start=1):
        if one != other:
            first = stage.first_step() if isinstance(stage, TrainPlan) else 0
            yield f"log, step {first + number}: {_fields(one, other)}"
            return


def _fields(one: str, other: str) -> str:
    return "; ".join(str(change) for change in list(diff(json.loads(one), json.loads(other)))[:1])
