"""Runs whose code changed between two versions and whose stage did not, grouped by what one proof covers."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from engine.compile.equivalence import shape_of
from engine.experiment import Lowered
from engine.spec.diff import diff
from engine.spec.errors import SpecError
from engine.spec.nearest import did_you_mean

Runs = Mapping[str, Mapping[str, Any]]
"""Golden runs by experiment/stage[cell]."""

_LOWERED: TypeAdapter[Lowered] = TypeAdapter(Lowered)


@dataclass(frozen=True, slots=True)
class Group:
    """Runs of one kind and shape that went from one code to another."""

    kind: str
    shape: str
    old: str
    new: str
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A run whose code changed, and why that alone cannot be proven equal."""

    run: str
    kind: str
    why: str


def changed(old: Runs, new: Runs, experiments: Collection[str]) -> tuple[tuple[Group, ...], tuple[Refused, ...]]:
    """The groups of the runs of some experiments, and the runs that are refused."""
    groups: dict[tuple[str, str, str, str], list[str]] = {}
    refused = []
    for run in new:
        if run.partition("/")[0] not in experiments or run not in old or _code(old[run]) == _code(new[run]):
            continue
        kind, why = str(new[run]["stage"]["kind"]), more_than_code(old[run], new[run])
        stage = None if why else stage_of_plan(new[run])
        if stage is None:
            refused.append(Refused(run, kind, why or "its stage is none that this engine knows; equate with this one"))
            continue
        groups.setdefault((kind, shape_of(stage), _code(old[run]), _code(new[run])), []).append(run)
    return tuple(Group(*key, tuple(runs)) for key, runs in groups.items()), tuple(refused)


def more_than_code(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """What else differs of a run; empty when it is its code alone."""
    for name, what in (("stage", "spec"), ("inputs", "inputs")):
        first = next((str(change) for change in diff(before[name], after[name])), "")
        if first:
            return f"its {what} changed, not only its code: {first}"
    return ""


def stage_of_plan(entry: Mapping[str, Any]) -> Lowered | None:
    """The lowered stage of a golden run, None where this engine has no such stage."""
    try:
        return _LOWERED.validate_json(json.dumps(entry["stage"]))
    except ValidationError:
        return None


def _code(entry: Mapping[str, Any]) -> str:
    return str(entry["code"]["digest"])


def named(run: str, old: Runs, new: Runs) -> str:
    """The experiment of a run that was asked for; SpecError when nothing of it can be proven."""
    for runs in (new, old):
        if run not in runs:
            raise SpecError(f"no golden plan of both versions has a run {run!r}{did_you_mean(run, runs)}")
    if _code(old[run]) == _code(new[run]):
        raise SpecError(f"{run} has the same code in both versions; there is nothing to prove")
    why = more_than_code(old[run], new[run])
    if why:
        raise SpecError(f"{run} cannot be proven equal: {why}")
    return run.partition("/")[0]


def chosen(group: Group, runs: Runs, wanted: Collection[str], built: Callable[[str], bool]) -> Iterator[str]:
    """The runs by which a group is proven: those that were asked for, else the cheapest whose inputs are built."""
    asked = [run for run in group.runs if run in wanted]
    ready = sorted((run for run in group.runs if built(run)), key=lambda run: cost(runs[run]))
    yield from asked or ready[:1]


def cost(entry: Mapping[str, Any]) -> tuple[float, int]:
    """What a run takes, as far as its plan can tell."""
    estimate = entry["estimate"]
    return (estimate["seconds"], estimate["flops"])
