"""`facsimile plan`: every stage with its state and the reason, its cost in closed form, and the DeepSpeed JSON."""

import argparse
import json
from typing import Any

from engine.artifacts.store import Store
from engine.cli.answer import Answer, table
from engine.cli.project import placement, project
from engine.compile.plan import Plan, PlannedRun
from engine.spec.canonical import plain
from engine.spec.errors import ArtifactError
from engine.train.spec import TrainPlan


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("experiment")
    parser.add_argument("--deepspeed", metavar="STAGE", help="print only the DeepSpeed JSON of a training stage")


def answer(args: argparse.Namespace) -> Answer:
    here = project(args)
    plan = here.plan(args.experiment)
    if args.deepspeed:
        configs = [run.stage.deepspeed for run in plan.cells(args.deepspeed) if isinstance(run.stage, TrainPlan)]
        return Answer("\n".join(json.dumps(config, indent=1) for config in configs), configs)
    store = Store(placement(here.root).artifacts)
    states = state_of_runs(plan, store)
    rows = [_row(run, *states[run.name]) for run in plan.runs.values()]
    data = [_data(run, *states[run.name]) for run in plan.runs.values()]
    waiting = sum(state != "built" for state, _ in states.values())
    header = ("stage", "kind", "state", "recipe", "parameters", "tokens", "FLOPs", "memory", "why")
    return Answer(f"{table(header, rows)}\n{waiting} of {len(rows)} would run", {"experiment": plan.name, "runs": data})


def state_of_runs(plan: Plan, store: Store) -> dict[str, tuple[str, str]]:
    """(state, reason) of every run: built, or would run and why."""
    found: dict[str, tuple[str, str]] = {}
    for name, run in plan.runs.items():
        above = [need for need in run.needs if found[need][0] != "built"]
        found[name] = _state(f"{plan.name}/{name}", run, store)
        if above and found[name][0] == "built":
            found[name] = ("would run", f"its input {above[0]} would")
    return found


def _state(name: str, run: PlannedRun, store: Store) -> tuple[str, str]:
    try:
        manifest = store.manifest(name)
    except ArtifactError as error:
        return "would run", str(error)
    if manifest is None:
        return "would run", "not built"
    if manifest.recipe != run.recipe:
        changed = (
            "spec" if manifest.stage != plain(run.stage) else "code" if manifest.code != run.code.digest else "inputs"
        )
        return "would run", f"{changed} changed since it was built"
    return ("built", "") if store.whole(name, run.recipe) else ("would run", "files are missing")


def _row(run: PlannedRun, state: str, why: str) -> tuple[str, ...]:
    cost = run.estimate
    numbers = (f"{cost.parameters:,}", f"{cost.tokens:,}", f"{cost.flops:.3g}", f"{cost.memory_bytes / 2**20:,.0f} MiB")
    shown = numbers if cost.flops else ("", "", "", "")
    return (run.name, run.stage.kind, state, run.recipe[:12], *shown, why)


def _data(run: PlannedRun, state: str, why: str) -> dict[str, Any]:
    deepspeed = {"deepspeed": run.stage.deepspeed} if isinstance(run.stage, TrainPlan) else {}
    head = {"run": run.name, "kind": run.stage.kind, "state": state, "why": why, "recipe": run.recipe}
    return {**head, "estimate": plain(run.estimate), **deepspeed}
