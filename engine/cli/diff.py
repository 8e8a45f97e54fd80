"""`facsimile diff A B`: fields changed, then stage by stage what will rebuild, why, and what it costs."""

import argparse
from typing import Any

from engine.artifacts.observation import read_observation
from engine.artifacts.store import Store
from engine.cli.answer import Answer
from engine.cli.golden import Side, side
from engine.cli.project import Project, placement, project
from engine.compile.predict import Prediction, predict
from engine.spec.diff import diff

EPILOG = "A and B: an experiment, the path of a spec, REVISION:EXPERIMENT, or the folder of a finished run"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("a", metavar="A")
    parser.add_argument("b", metavar="B")


def answer(args: argparse.Namespace) -> Answer:
    here = project(args)
    a, b = side(args.a, here), side(args.b, here)
    predictions = predict(a.plan, b.plan)
    changed = [str(c) for c in diff(_stages(a.plan), _stages(b.plan))]
    metrics = [str(c) for c in diff(a.metrics, b.metrics)] if a.metrics and b.metrics else []
    costs = {p.run: _cost(p, b, here) for p in predictions if p.status in ("will rebuild", "new")}
    data = {
        "changed": changed,
        "runs": [
            {"run": p.run, "status": p.status, "reasons": list(p.reasons), **costs.get(p.run, {})} for p in predictions
        ],
        "metrics": metrics,
    }
    return Answer(_text(a, b, changed, predictions, costs, metrics), data)


def _stages(plan: dict[str, Any]) -> dict[str, Any]:
    return {run: entry["stage"] for run, entry in plan["runs"].items()}


def _cost(prediction: Prediction, b: Side, here: Project) -> dict[str, Any]:
    estimate = b.plan["runs"][prediction.run].get("estimate", {})
    seen = None
    if "experiment" in b.plan:
        store = Store(placement(here.root).artifacts)
        seen = read_observation(store.observation(f"{b.plan['experiment']}/{prediction.run}"))
    return {"flops": estimate.get("flops", 0), "last_seconds": None if seen is None else round(seen.seconds, 1)}


def _text(
    a: Side, b: Side, changed: list[str], predictions: tuple[Prediction, ...], costs: dict[str, Any], metrics: list[str]
) -> str:
    lines = [f"{a.name} -> {b.name}"]
    lines += ["fields", *(f"  {text}" for text in changed)] if changed else ["no field differs"]
    lines.append("stages")
    width = max((len(p.run) for p in predictions), default=0)
    for p in predictions:
        lines.append(f"  {p.run:<{width}}  {p.status}{_cost_text(costs.get(p.run))}")
        lines += [f"  {'':<{width}}    {reason}" for reason in p.reasons]
    rebuilt = sum(p.status in ("will rebuild", "new") for p in predictions)
    lines.append(f"{rebuilt} of {len(predictions)} will rebuild")
    lines += ["metrics", *(f"  {text}" for text in metrics)] if metrics else []
    return "\n".join(lines)


def _cost_text(cost: dict[str, Any] | None) -> str:
    if cost is None:
        return ""
    parts = [f"{cost['flops']:.2g} FLOPs"] if cost["flops"] else []
    parts += [f"{cost['last_seconds']} s last time"] if cost["last_seconds"] is not None else []
    return f"  ({', '.join(parts)})" if parts else ""
