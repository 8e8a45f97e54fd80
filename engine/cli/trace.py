"""`facsimile trace`: a row of a training step to documents, byte ranges and source rows; or a document to its steps."""

import argparse
from typing import TYPE_CHECKING, Any

from engine.artifacts.placement import Placement
from engine.cli.answer import Answer
from engine.cli.names import Artifact, run_named
from engine.cli.project import placement, project
from engine.spec.errors import SpecError
from engine.train.spec import TrainPlan

if TYPE_CHECKING:  # importing it takes longer than the help of a verb may
    from engine.artifacts.read import Input

ID_DIGITS = 32


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a training run, experiment/stage[cell]")
    parser.add_argument("--step", type=int, help="the step, from 1")
    parser.add_argument("--row", type=int, help="the row of the step's batch, from 0 (default: all)")
    parser.add_argument(
        "--document", metavar="ID", help="the steps that read this document; the first digits of an id will do"
    )


def answer(args: argparse.Namespace) -> Answer:
    here = project(args)
    found = run_named(args.run, here)
    if (args.step is None) == (args.document is None) or (args.row is not None and args.step is None):
        raise SpecError("give either --step N [--row R] or --document ID")
    if not isinstance(found.run.stage, TrainPlan):
        trains = [run.name for run in found.plan.runs.values() if isinstance(run.stage, TrainPlan)]
        raise SpecError(f"{args.run} is no training stage; {found.plan.name} has {', '.join(trains) or 'none'}")
    place = placement(here.root)
    if args.document is not None:
        return of_document(found, found.run.stage, args.document, place)
    return of_step(found, found.run.stage, args.step, args.row, place)


def of_step(found: Artifact, stage: TrainPlan, step: int, row: int | None, place: Placement) -> Answer:
    """The documents behind the rows of one step."""
    from engine.data.provenance import trace_row

    first = stage.first_step() + 1
    if not first <= step <= stage.steps:
        raise SpecError(f"--step {step}: {found.name} has steps {first} to {stage.steps}")
    if row is not None and not 0 <= row < stage.batch.rows:
        raise SpecError(f"--row {row}: a step has rows 0 to {stage.batch.rows - 1}")
    rows, provenance, documents = pack_inputs(found, stage, place)
    chosen = range(stage.batch.rows) if row is None else (row,)
    data, lines = [], []
    for number in chosen:
        position = (step - 1) * stage.batch.rows + number
        segments = trace_row(rows, provenance, documents, position)
        lines.append(f"{found.name} step {step} row {number} (position {position})")
        for segment in segments:
            lines += segment.lines()
        data.append({"step": step, "row": number, "position": position, "segments": [s.data() for s in segments]})
    return Answer("\n".join(lines), data)


def of_document(found: Artifact, stage: TrainPlan, document: str, place: Placement) -> Answer:
    """The steps of the run that read a document, and the first checkpoint that had seen it."""
    from engine.data.provenance import positions_of_document

    rows, provenance, documents = pack_inputs(found, stage, place)
    document = document_id(documents, document)
    size = stage.batch.rows
    positions = [int(p) for p in positions_of_document(rows, provenance, documents, document)]
    seen = [(p // size + 1, p % size) for p in positions if p // size + 1 <= stage.steps]
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
    return Answer("\n".join(lines), data)


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


def pack_inputs(found: Artifact, stage: TrainPlan, place: Placement) -> tuple["Input", "Input", "Input"]:
    """The rows that a training stage reads, their provenance, and the documents they were packed from."""
    from engine.artifacts.store import Store
    from engine.data.spec import Pack
    from engine.run import open_one

    store = Store(place.artifacts)
    pack_name = stage.rows.partition("@")[0]
    pack = found.plan.runs[pack_name].stage
    assert isinstance(pack, Pack)
    documents, _, output = pack.documents.partition("@")
    return (
        open_one(found.plan, pack_name, "rows", store),
        open_one(found.plan, pack_name, "provenance", store),
        open_one(found.plan, documents, output, store),
    )
