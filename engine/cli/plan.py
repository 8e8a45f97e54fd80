"""`facsimile plan`: every stage with its state and the reason, its cost in closed form, and the DeepSpeed JSON."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli.answer import Answer, table
from engine.cli.project import placement, project
from engine.compile.plan import Plan, PlannedRun, deepspeed_of
from engine.compile.pretrained import source_problems
from engine.compile.state import most_memory, scaled, state_line, too_large
from engine.models.pretrained.spec import HubModel, HubName, Import
from engine.spec.canonical import plain
from engine.spec.errors import ArtifactError, SpecError
from engine.train.spec import TrainPlan

if TYPE_CHECKING:  # importing it takes longer than the help of a verb may
    from engine.artifacts.store import Store

HEADER = ("stage", "kind", "state", "recipe", "parameters", "tokens", "FLOPs", "memory", "time", "why")
NUMBERS = {"parameters", "tokens", "FLOPs", "memory", "time"}
SHORTEST, MINUTE, HOUR, DAY = 0.1, 60, 3600, 86400  # seconds


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("experiment", metavar="EXPERIMENT", help="the name or the path of a spec")
    parser.add_argument("--deepspeed", metavar="STAGE", help="print only the DeepSpeed JSON of a training stage")
    text = "print only the `source:` of its import, with the sha256 of every file of a downloaded snapshot"
    parser.add_argument("--pin", type=Path, metavar="FOLDER", help=text)


def answer(args: argparse.Namespace) -> Answer:
    here = project(args)
    plan = here.plan(args.experiment)
    if args.deepspeed:
        configs = deepspeed(plan, args.deepspeed)
        return Answer("\n".join(json.dumps(config, indent=1) for config in configs), configs)
    if args.pin:
        return pin(plan, args.pin)
    from engine.artifacts.store import Store

    states = state_of_runs(plan, Store(placement(here.root).artifacts))
    waiting = [run for run in plan.runs.values() if states[run.name][0] != "built"]
    runs = [_data(run, *states[run.name]) for run in plan.runs.values()]
    data = {"experiment": plan.name, "runs": runs, "would_run": [run.name for run in waiting]}
    rows = [_row(run, *states[run.name]) for run in plan.runs.values()]
    notes = (*scaled(plan), *most_memory(plan), *too_large(plan)) if plan.experiment.scale != "proxy" else ()
    if waiting and plan.experiment.scale != "proxy":
        notes = (state_line(plan), *notes)
    data["notes"] = list(notes)
    return Answer("\n".join([table(HEADER, rows, NUMBERS), _summary(len(rows), waiting), *notes]), data)


def deepspeed(plan: Plan, stage: str) -> list[dict[str, Any]]:
    """The DeepSpeed JSON of a training stage: one, or one for each cell."""
    found = [deepspeed_of(run) for run in plan.cells(stage) if isinstance(run.stage, TrainPlan)]
    if not found:
        trains = dict.fromkeys(run.name for run in plan.runs.values() if isinstance(run.stage, TrainPlan))
        raise SpecError(f"{plan.name}/{stage} is no training stage; {plan.name} has {', '.join(trains) or 'none'}")
    return found


def pin(plan: Plan, folder: Path) -> Answer:
    """The source of the one repository that the experiment imports, for a person to put into the spec."""
    from engine.models.pretrained.pin import pinned, source_yaml

    imports = [run.stage for run in plan.runs.values() if isinstance(run.stage, Import)]
    sources = [stage.source for stage in imports if isinstance(stage.source, HubName | HubModel)]
    if len({source.repository for source in sources}) != 1:
        raise SpecError(
            f"{plan.name} imports from {len({s.repository for s in sources})} repositories of the hub, not one"
        )
    found = pinned(sources[0], folder)
    changed = imports[0].replace(source=found)
    if problems := [f"source.{path}: {text}" for path, text in source_problems(changed)]:
        raise SpecError(f"{folder} would be refused: {'; '.join(problems)}")
    return Answer(source_yaml(found), plain(found))


def state_of_runs(plan: Plan, store: "Store") -> dict[str, tuple[str, str]]:
    """(state, reason) of every run: built, or would run and why."""
    found: dict[str, tuple[str, str]] = {}
    for name, run in plan.runs.items():
        above = [need for need in run.needs if found[need][0] != "built"]
        found[name] = _state(f"{plan.name}/{name}", run, store)
        if above and found[name][0] == "built":
            found[name] = ("would run", f"its input {above[0]} would")
    return found


def _state(name: str, run: PlannedRun, store: "Store") -> tuple[str, str]:
    try:
        manifest = store.manifest(name)
    except ArtifactError as error:
        return "would run", str(error)
    if manifest is None:
        return "would run", "not built"
    if manifest.recipe != run.recipe:
        changed = "spec" if manifest.stage != plain(run.stage) else "code" if manifest.code != run.code_as else "inputs"
        return "would run", f"{changed} changed since it was built"
    return ("built", "") if store.whole(name, run.recipe) else ("would run", "files are missing")


def _row(run: PlannedRun, state: str, why: str) -> tuple[str, ...]:
    cost = run.estimate
    numbers = (
        f"{cost.parameters:,}" if cost.parameters else "",
        f"{cost.tokens:,}" if cost.tokens else "",
        f"{cost.flops:.2e}" if cost.flops else "",
        _size(cost.memory.total_bytes() or cost.worker_bytes) if cost.memory.weights or cost.worker_bytes else "",
        duration(cost.seconds) if cost.seconds else "",
    )
    return (run.name, run.stage.kind, state, run.recipe[:12], *numbers, why)


def _size(count: int) -> str:
    mebi = count / 2**20
    if mebi >= 2**20:
        return f"{mebi / 2**20:,.1f} TiB"
    return f"{mebi:,.0f} MiB" if mebi < 2**10 else f"{mebi / 2**10:,.1f} GiB"


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    for unit, length in (("d", DAY), ("h", HOUR), ("min", MINUTE)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:.1f} s" if seconds >= SHORTEST else f"< {SHORTEST} s"


def _summary(count: int, waiting: list[PlannedRun]) -> str:
    text = f"{len(waiting)} of {count} would run"
    data = [run.estimate for run in waiting if run.estimate.documents]
    if data:
        written, scratch = sum(cost.artifact_bytes for cost in data), max(cost.scratch_bytes for cost in data)
        text += f"; data: {duration(sum(cost.seconds for cost in data))} of one core, at most {_size(written)} written"
        text += f" and {_size(scratch)} of scratch at a time, {_size(data[0].worker_bytes)} a worker"
    counted = [run.estimate for run in waiting if run.estimate.flops]
    if not counted:
        return text
    flops, seconds = sum(cost.flops for cost in counted), sum(cost.seconds for cost in counted)
    rate = counted[-1].flops_per_second
    told = f"{flops:.2e} FLOPs, {duration(seconds)} at {rate:.0e} a second, without starting and writing"
    return f"{text}{';' if data else ':'} {told}"


def _data(run: PlannedRun, state: str, why: str) -> dict[str, Any]:
    deepspeed = {"deepspeed": deepspeed_of(run)} if isinstance(run.stage, TrainPlan) else {}
    head = {"run": run.name, "kind": run.stage.kind, "state": state, "why": why, "recipe": run.recipe}
    return {**head, "estimate": plain(run.estimate), **deepspeed}
