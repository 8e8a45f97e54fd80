"""The values of a stage that decided a drop, by its reason: as the lowered stage has them."""

from collections.abc import Iterator, Mapping
from typing import Any

from engine.artifacts.manifest import Manifest
from engine.data.cleaning.gopher_repetition import FIRST_DUPLICATE, FIRST_TOP

LEAK = "leak_"
CHARS = ("least_chars", "slimpajama_short")


def thresholds(manifest: Manifest, reason: str, runs: Mapping[str, Manifest]) -> dict[str, Any]:
    """By their place in the stage, or in that of the bands it reads; empty where a reason has no threshold."""
    stage: Any = manifest.stage
    match stage["kind"]:
        case "clean":
            return dict(_of_steps(stage["steps"], *reason.split(".")))
        case "dedup" if reason == "near_duplicate":
            return {"method.verify": stage["method"]["verify"], **_bands(manifest, runs)}
        case "decontaminate":
            return dict(_of_tests(manifest, reason.removeprefix(LEAK), runs))
        case _:
            return {}


def _of_steps(steps: Any, kind: str, rule: str = "", length: str = "") -> Iterator[tuple[str, Any]]:
    """The value of a cleaning rule in every step of that kind; n-grams by their length."""
    for number, step in enumerate(steps):
        if step["kind"] != kind:
            continue
        if kind == "language":
            field = "least" if rule == "unsure" else "keep"
        else:
            field = "chars" if kind in CHARS else rule
        if length:
            first = FIRST_TOP if rule.startswith("top") else FIRST_DUPLICATE
            yield f"steps.{number}.{field}.{int(length) - first}", step[field][int(length) - first]
        elif field in step:
            yield f"steps.{number}.{field}", step[field]


def _of_tests(manifest: Manifest, kind: str, runs: Mapping[str, Manifest]) -> Iterator[tuple[str, Any]]:
    tests: Any = manifest.stage["tests"]
    for number, test in enumerate(tests):
        if test["kind"] == kind:
            yield from ((f"tests.{number}.{name}", test[name]) for name in ("words", "least") if name in test)
    if kind == "near":
        yield from _bands(manifest, runs).items()


def _bands(manifest: Manifest, runs: Mapping[str, Manifest]) -> dict[str, Any]:
    """Bands and rows of the index that a stage reads."""
    records = [item for items in manifest.inputs.values() for item in items if item.output == "bands"]
    found = {item.run: runs[item.run].stage for item in records[:1] if item.run in runs}
    return {f"{run}.{name}": stage[name] for run, stage in found.items() for name in ("bands", "rows")}
