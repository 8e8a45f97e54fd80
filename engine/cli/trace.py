"""`facsimile trace`: a row of a training step to documents, byte ranges and source rows; or a document to its steps."""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from engine.artifacts.manifest import InputRecord, Manifest
from engine.cli.answer import Answer
from engine.cli.names import Artifact, built_named, run_named
from engine.cli.project import Project, placement, project
from engine.compile.dvc import dvc_stage
from engine.compile.resolve import stage_of
from engine.spec.errors import ArtifactError, SpecError
from engine.train.spec import TrainPlan

if TYPE_CHECKING:  # importing them takes longer than the help of a verb may
    from engine.artifacts.read import Input
    from engine.artifacts.store import Store

ID_DIGITS = 32
Told = tuple[dict[str, Any], list[str]]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a training run, experiment/stage[cell]")
    parser.add_argument("--step", type=int, help="the step, from 1")
    parser.add_argument("--row", type=int, help="the row of the step's batch, from 0 (default: all)")
    parser.add_argument(
        "--document", metavar="ID", help="the steps that read this document; the first digits of an id will do"
    )


def answer(args: argparse.Namespace) -> Answer:
    from engine.artifacts.store import Store

    here = project(args)
    if "@" in args.run:
        run_named(args.run, here)  # which refuses it
    if (args.step is None) == (args.document is None) or (args.row is not None and args.step is None):
        raise SpecError("give either --step N [--row R] or --document ID")
    found = reading(args.run, here, Store(placement(here.root).artifacts))
    data, lines = of_document(found, args.document) if args.step is None else of_step(found, args.step, args.row)
    forecast = found.log is None
    head = [f"forecast: {found.name} is not built; by the plan and the rows as they are now"] if forecast else []
    return Answer("\n".join([*head, *lines]), {"run": found.name, "forecast": forecast, **data})


def of_step(found: "Reading", step: int, row: int | None) -> Told:
    """The documents behind the rows of one step."""
    from engine.data.provenance import trace_rows

    stage = found.stage
    first, size = stage.first_step() + 1, stage.batch.rows
    if not first <= step <= stage.steps:
        raise SpecError(f"--step {step}: {found.name} has steps {first} to {stage.steps}")
    if row is not None and not 0 <= row < size:
        raise SpecError(f"--row {row}: a step has rows 0 to {size - 1}")
    found.check((step,))
    numbers = range(size) if row is None else (row,)
    positions = [(step - 1) * size + number for number in numbers]
    traced = trace_rows(found.rows, found.provenance, found.documents, positions)
    lines, rows = [], []
    for number, position, segments in zip(numbers, positions, traced, strict=True):
        lines.append(f"{found.name} step {step} row {number} (position {position})")
        lines += [line for segment in segments for line in segment.lines()]
        rows.append({"row": number, "position": position, "segments": [segment.data() for segment in segments]})
    return {"step": step, "rows": rows}, lines


def of_document(found: "Reading", text: str) -> Told:
    """The steps of the run that read a document, and the first checkpoint that had seen it."""
    from engine.data.provenance import positions_of_document

    stage, document = found.stage, document_id(found.documents, text)
    size = stage.batch.rows
    positions = [int(p) for p in positions_of_document(found.rows, found.provenance, found.documents, document)]
    seen = [(step, p % size) for p in positions if stage.first_step() < (step := p // size + 1) <= stage.steps]
    found.check(sorted({step for step, _ in seen}))
    kept = [step for step in stage.kept_steps() if seen and step >= seen[0][0]]
    data: dict[str, Any] = {
        "document": document,
        "positions": positions,
        "steps": [{"step": step, "row": row} for step, row in seen],
        "first_checkpoint": f"{found.name}@step-{kept[0]}" if kept else None,
    }
    lines = [
        f"document {document}: in {len(positions)} rows of the training order, {len(seen)} of them read by {found.name}"
    ]
    lines += [f"  step {step} row {row}" for step, row in seen]
    if kept:
        lines.append(f"first checkpoint that has seen it: {data['first_checkpoint']}")
    return data, lines


def document_id(documents: "Input", text: str) -> str:
    """The id that a text spells, or that alone begins with it."""
    from engine.artifacts.read import read_table

    if len(text) == ID_DIGITS:
        return text
    batches = read_table(documents.folder, ["id"])
    found = [known for batch in batches for known in batch.column("id").to_pylist() if known.startswith(text)]
    if len(found) == 1:
        return str(found[0])
    place = f"{documents.run}@{documents.output}"
    if not found:
        raise SpecError(f"{place} has no document {text}; `facsimile trace RUN --step N` prints ids")
    shown = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
    raise SpecError(f"{len(found)} documents of {place} begin with {text!r}: {shown}; write more digits")


@dataclass(frozen=True, slots=True)
class Reading:
    """A training run and the tables that it read, or would read: then `log` is None; else the batch of every step."""

    name: str
    stage: TrainPlan
    rows: "Input"
    provenance: "Input"
    documents: "Input"
    log: Mapping[int, str] | None

    def check(self, steps: Iterable[int]) -> None:
        """ArtifactError when the run logged another batch at a step than the rows give."""
        from engine.train.data import Rows, batch_digest

        if self.log is None:
            return
        batches = Rows(self.rows.folder, self.stage.batch.rows)
        for step in steps:
            if self.log.get(step) != batch_digest(batches.batch(step)):
                raise ArtifactError(
                    f"{self.name} did not read at step {step} what {self.rows.run} gives, by the batch in its log; "
                    f"`facsimile audit {self.name}` tells which of them was changed"
                )


def reading(text: str, here: Project, store: "Store") -> Reading:
    """What a finished run says that it read; what the plan says for one that is not built."""
    name, _ = built_named(text, here, store)
    manifest = store.manifest(name)
    if manifest is None or manifest.stage["kind"] != "train":
        return planned(run_named(name, here), store)
    from engine.train.steplog import read_steps

    stage = stage_of_manifest(manifest)
    rows = as_read(name, manifest.inputs[stage.rows], store)
    documents = as_read(name, rows.manifest.inputs[str(rows.manifest.stage["documents"])], store)
    steps = read_steps(store.folder(name) / "log" / "steps.jsonl", stage.first_step() + 1)
    provenance = output_of(rows.ref, rows.manifest, "provenance", store)
    return Reading(name, stage, rows, provenance, documents, {step.step: step.batch for step in steps})


def stage_of_manifest(manifest: Manifest) -> TrainPlan:
    """The lowered stage that a run was built by."""
    try:
        return TrainPlan.model_validate_json(json.dumps(manifest.stage))
    except ValidationError as error:
        text = f"{manifest.run} was built by an engine whose stages differ ({error.errors()[0]['msg']}); build it again"
        raise ArtifactError(text) from error


def as_read(reader: str, records: Sequence[InputRecord], store: "Store") -> "Input":
    """The output that a run read, if it still lies there; else ArtifactError says which was rebuilt since."""
    (record,) = records
    run = record.run
    manifest = store.manifest(run)
    experiment, _, stage = reader.partition("/")
    again = f"build {reader} again (dvc repro {dvc_stage(experiment, stage_of(stage))})"
    if manifest is None:
        raise ArtifactError(f"{run}, which {reader} read, is gone; get it back (dvc checkout), or {again}")
    then = (record.recipe, record.content, record.digest)
    output = manifest.outputs.get(record.output)
    now = (manifest.recipe, manifest.content, output.digest if output else "")
    if then != now:
        compared = zip(("recipe", "content", "digest"), then, now, strict=True)
        what, was, found = next(entry for entry in compared if entry[1] != entry[2])
        raise ArtifactError(
            f"{run} was built again since {reader} read it ({what} {was[:12]} then, {found[:12]} now), so it cannot "
            f"tell what was read; {again}, or get the old one back (git checkout of the old dvc.lock, dvc checkout)"
        )
    if not store.whole(run, record.recipe):
        raise ArtifactError(f"{run} is not whole; `facsimile audit {run}` tells what is missing")
    return output_of(run, manifest, record.output, store)


def output_of(ref: str, manifest: Manifest, output: str, store: "Store") -> "Input":
    from engine.artifacts.read import Input

    run = manifest.run
    return Input(ref, run, output, store.folder(run) / output, manifest.outputs[output].digest, manifest)


def planned(found: Artifact, store: "Store") -> Reading:
    """By the plan: the rows that a training stage would read, their provenance, the documents they were packed from."""
    from engine.data.spec import Pack
    from engine.run import open_one

    stage, plan = found.run.stage, found.plan
    if not isinstance(stage, TrainPlan):
        trains = [run.name for run in plan.runs.values() if isinstance(run.stage, TrainPlan)]
        raise SpecError(f"{found.name} is no training stage; {plan.name} has {', '.join(trains) or 'none'}")
    pack_name = stage.rows.partition("@")[0]
    pack = plan.runs[pack_name].stage
    assert isinstance(pack, Pack)
    documents, _, output = pack.documents.partition("@")
    rows, provenance = (open_one(plan, pack_name, name, store) for name in ("rows", "provenance"))
    return Reading(found.name, stage, rows, provenance, open_one(plan, documents, output, store), None)
