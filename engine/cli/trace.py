"""`facsimile trace`: a row of a training step to documents, byte ranges and source rows; or a document to its steps."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engine.cli.answer import Answer
from engine.cli.names import built_named, run_named
from engine.cli.project import Project, placement, project
from engine.compile.plan import Plan
from engine.spec.errors import ArtifactError, SpecError
from engine.train.spec import TrainPlan, before

if TYPE_CHECKING:  # importing them takes longer than the help of a verb may
    from engine.artifacts.store import Store
    from engine.report.seen import Reading

Told = tuple[dict[str, Any], list[str]]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", metavar="RUN", nargs="?", help="experiment/stage[cell]; with --document an experiment, or nothing: all"
    )
    parser.add_argument("--step", type=int, help="the step, from 1")
    parser.add_argument("--row", type=int, help="the row of the step's batch, from 0 (default: all)")
    parser.add_argument(
        "--document", metavar="ID", help="the steps that read this document; the first digits of an id will do"
    )


def answer(args: argparse.Namespace) -> Answer:
    from engine.artifacts.store import Store

    here = project(args)
    name = args.run or ""
    if "@" in name:
        run_named(name, here)  # which refuses it
    if (args.step is None) == (args.document is None) or (args.row is not None and args.step is None):
        raise SpecError("give either --step N [--row R] or --document ID")
    store = Store(placement(here.root).artifacts)
    if args.document and "/" not in name:
        return everywhere(here, store, name, args.document)
    if not name:
        raise SpecError("--step wants the RUN whose step it is: facsimile trace experiment/stage --step N")
    found = readings(name, here, store)
    *_, own = found
    data, lines = of_document(found, args.document) if args.step is None else of_step(own, args.step, args.row)
    forecast = own.log is None
    head = [f"forecast: {own.name} is not built; by the plan and the rows as they are now"] if forecast else []
    return Answer("\n".join([*head, *lines]), {"run": own.name, "forecast": forecast, **data})


def everywhere(here: Project, store: "Store", experiment: str, text: str) -> Answer:
    """Every finished run that read a document; exit 1 where one cannot tell, by what was built again since."""
    from engine.report.seen import who_saw

    if experiment and not (store.artifacts / experiment).is_dir():
        here.plan(experiment)  # which refuses a name that is none
        raise ArtifactError(f"nothing of {experiment} is built; build it with `dvc repro`")
    found = who_saw(store, experiment, text)
    return Answer("\n".join(found.lines()), found.data(), not found.problems)


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
    places = found.batches().positions(step)
    positions = [int(places[number]) for number in numbers]
    traced = trace_rows(found.rows, found.provenance, found.documents, positions)
    lines, rows = [], []
    for number, position, segments in zip(numbers, positions, traced, strict=True):
        lines.append(f"{found.name} step {step} row {number} (position {position})")
        lines += [line for segment in segments for line in segment.lines()]
        rows.append({"row": number, "position": position, "segments": [segment.data() for segment in segments]})
    return {"step": step, "rows": rows}, lines


def of_document(found: "Sequence[Reading]", text: str) -> Told:
    """The steps that read a document, of the run and of those it goes on from; the checkpoints that have seen it."""
    from engine.report.seen import document_named, sightings

    name = found[-1].name
    document = document_named(tuple({item.documents.digest: item.documents for item in found}.values()), text)
    (seen,) = sightings([found], document)
    own = [(step, row) for run, step, row in seen.steps if run == name]
    data: dict[str, Any] = {
        "document": document,
        "positions": list(seen.positions),
        "steps": [{"step": step, "row": row} for step, row in own],
        "before": [{"run": run, "step": step, "row": row} for run, step, row in seen.steps if run != name],
        "first_checkpoint": seen.checkpoints[0] if seen.checkpoints else None,
        "checkpoints": list(seen.checkpoints),
    }
    lines = [
        f"document {document}: in {len(seen.positions)} rows of the training order, {len(own)} of them read by {name}"
    ]
    lines += [f"  step {step} row {row}" for step, row in own]
    if data["before"]:
        lines.append(
            f"and {len(data['before'])} of them before it began, first at step {seen.steps[0][1]} of {seen.steps[0][0]}"
        )
    if seen.checkpoints:
        lines.append(f"first checkpoint that has seen it: {seen.checkpoints[0]}")
    return data, lines


def readings(text: str, here: Project, store: "Store") -> "tuple[Reading, ...]":
    """What a finished run, after those that it goes on from, says that it read; else what the plan says."""
    from engine.report.seen import history

    name, _ = built_named(text, here, store)
    manifest = store.manifest(name)
    if manifest is None or manifest.stage["kind"] != "train":
        found = run_named(name, here)
        return planned(found.plan, found.run.name, store)
    return history(store, name, manifest)


def planned(plan: Plan, name: str, store: "Store", last: int | None = None) -> "tuple[Reading, ...]":
    """By the plan: the rows that a training stage would read, their provenance, the documents they were packed from."""
    from engine.data.spec import Chunks, FimPlan, Pack
    from engine.report.seen import Reading
    from engine.run import open_one

    stage = plan.runs[name].stage
    if not isinstance(stage, TrainPlan):
        trains = [run.name for run in plan.runs.values() if isinstance(run.stage, TrainPlan)]
        raise SpecError(f"{plan.name}/{name} is no training stage; {plan.name} has {', '.join(trains) or 'none'}")
    pack_name = stage.rows.partition("@")[0]
    pack = plan.runs[pack_name].stage
    assert isinstance(pack, Pack | FimPlan | Chunks)
    documents, _, output = pack.documents.partition("@")
    rows, provenance = (open_one(plan, pack_name, table, store) for table in ("rows", "provenance"))
    packed, end = open_one(plan, documents, output, store), stage.steps if last is None else last
    own = Reading(f"{plan.name}/{name}", stage, rows, provenance, packed, None, end)
    earlier = before(stage.start)
    if earlier is None:
        return (own,)
    return (*planned(plan, earlier[0].partition("@")[0], store, earlier[1]), own)
