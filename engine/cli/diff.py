"""`facsimile diff A B`: fields changed, then stage by stage what will rebuild, why, and what it costs."""

import argparse
import re
from typing import Any

from engine.cli.answer import Answer
from engine.cli.golden import Side, narrowed, side
from engine.cli.plan import duration
from engine.cli.project import Project, placement, project
from engine.compile.predict import Prediction, predict
from engine.spec.diff import diff
from engine.spec.errors import ArtifactError

EPILOG = "A and B: an experiment, the path of a spec, REVISION:EXPERIMENT, or a finished run (its name or its folder)"
REBUILT = ("will rebuild", "new")
SHOWN_NAMES = 5  # of the definitions that changed; --json lists them all
_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("a", metavar="A")
    parser.add_argument("b", metavar="B")


def answer(args: argparse.Namespace) -> Answer:
    here = project(args)
    a, b = side(args.a, here), side(args.b, here)
    if a.manifest and b.manifest:
        return _of_finished(a, b)
    a, b = (narrowed(a, b.run), b) if b.run else (a, narrowed(b, a.run)) if a.run else (a, b)
    predictions = tuple(p for p in predict(a.plan, b.plan) if p.run == b.run or not b.run)
    changed = [str(change) for change in _fields(a, b)]
    costs = {p.run: _cost(p.run, b, here) for p in predictions if p.status in REBUILT}
    runs = [{"run": p.run, "status": p.status, "reasons": list(p.reasons), **costs.get(p.run, {})} for p in predictions]
    rebuilt = [p.run for p in predictions if p.status in REBUILT]
    data = {"a": a.name, "b": b.name, "changed": changed, "runs": runs, "rebuilt": rebuilt, "metrics": []}
    lines = [f"{a.name} -> {b.name}", *_listed("fields", changed, "no field of a stage differs")]
    return Answer("\n".join([*lines, "stages", *_stages(predictions, costs), _summary(predictions, costs)]), data)


def _fields(a: Side, b: Side) -> list[object]:
    """Changes within the runs that both sides have; a run that only one has is told among the stages."""
    before, after = ({run: entry["stage"] for run, entry in one.plan["runs"].items()} for one in (a, b))
    both = before.keys() & after.keys()
    return list(diff({run: before[run] for run in both}, {run: after[run] for run in both}))


def _listed(title: str, lines: list[str], nothing: str) -> list[str]:
    return [title, *(f"  {_shortened(line)}" for line in lines)] if lines else [nothing]


def _shortened(text: str) -> str:
    """With digests by their first 12 digits."""
    return _DIGEST.sub(r"\1...", text)


def _cost(run: str, b: Side, here: Project) -> dict[str, Any]:
    """What a rebuild costs: products in closed form, and the seconds that it took when it was built here last."""
    flops = b.plan["runs"][run].get("estimate", {}).get("flops", 0)
    return {"flops": flops, "last_seconds": _last_seconds(f"{b.plan.get('experiment')}/{run}", here)}


def _last_seconds(run: str, here: Project) -> float | None:
    from engine.artifacts.observation import read_observation
    from engine.artifacts.store import Store

    try:
        seen = read_observation(Store(placement(here.root).artifacts).observation(run))
    except ArtifactError:
        return None  # a damaged one tells no time; `audit` tells of the damage
    return None if seen is None else seen.seconds


def _stages(predictions: tuple[Prediction, ...], costs: dict[str, dict[str, Any]]) -> list[str]:
    width = max((len(p.run) for p in predictions), default=0)
    lines = []
    for p in predictions:
        lines.append(f"  {p.run:<{width}}  {p.status}{_cost_text(costs.get(p.run))}")
        lines += [f"  {'':<{width}}    {reason}" for reason in _reasons(p)]
    return lines


def _reasons(prediction: Prediction) -> list[str]:
    code, more = prediction.code[:SHOWN_NAMES], len(prediction.code) - SHOWN_NAMES
    names = ", ".join(code) + (f" and {more} more" if more > 0 else "")
    short = [_shortened(field) for field in prediction.fields]
    return [*short, *([f"code: {names}"] if code else []), *prediction.reasons[len(short) + bool(code) :]]


def _cost_text(cost: dict[str, Any] | None) -> str:
    if cost is None:
        return ""
    parts = [f"{cost['flops']:.2g} FLOPs"] if cost["flops"] else []
    parts += [f"{duration(cost['last_seconds'])} last time"] if cost["last_seconds"] is not None else []
    return f"  ({', '.join(parts)})" if parts else ""


def _summary(predictions: tuple[Prediction, ...], costs: dict[str, dict[str, Any]]) -> str:
    rebuilt = sum(p.status in REBUILT for p in predictions)
    flops = sum(cost["flops"] for cost in costs.values())
    known = [cost["last_seconds"] for cost in costs.values() if cost["last_seconds"] is not None]
    total = _cost_text({"flops": flops, "last_seconds": sum(known) if known else None})
    return f"{rebuilt} of {len(predictions)} will rebuild{total}"


def _of_finished(a: Side, b: Side) -> Answer:
    """Two finished runs: what they were made by, whether they gave the same bits, and their metrics."""
    assert a.manifest
    assert b.manifest
    (found,) = (p for p in predict(_unnamed(a), _unnamed(b)) if not p.run)
    before, after = ({n: o.digest for n, o in m.outputs.items()} for m in (a.manifest, b.manifest))
    outputs = {name: before.get(name) == after.get(name) for name in sorted({*before, *after})}
    changed = [str(change) for change in diff(a.manifest.stage, b.manifest.stage)]
    metrics = [str(change) for change in diff(a.manifest.metrics, b.manifest.metrics)]
    same = found.status == "stays"
    run = {"run": b.manifest.run, "status": "same recipe" if same else "another recipe", "reasons": list(found.reasons)}
    data = {"a": a.name, "b": b.name, "changed": changed, "runs": [run], "outputs": outputs, "metrics": metrics}
    lines = [
        f"{a.name} -> {b.name}",
        *_listed("fields", changed, "no field differs"),
        "the same recipe" if same else "another recipe",
    ]
    lines += [f"  {reason}" for reason in _reasons(found) if reason not in map(_shortened, changed)]
    lines += ["outputs", *(_output(name, before, after) for name in outputs)]
    return Answer("\n".join([*lines, *_listed("metrics", metrics, "no metric differs")]), data)


def _unnamed(one: Side) -> dict[str, Any]:
    """The plan of a finished run in which that run has no name, so that it can be compared with another."""
    return {"runs": {"" if run == one.run else run: entry for run, entry in one.plan["runs"].items()}}


def _output(name: str, before: dict[str, str], after: dict[str, str]) -> str:
    was, now = (digests.get(name, "none")[:12] for digests in (before, after))
    return f"  {name}: equal, {was}" if was == now else f"  {name}: {was} -> {now}"
