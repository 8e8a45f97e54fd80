"""Numbers out of what finished runs report: a path into metrics, what several numbers fold into, shares, cells."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never, final

from pydantic import JsonValue

from engine.artifacts.read import Input, Inputs
from engine.evaluate.statistics.spec import ByDomain, Fold, Largest, Mean, Metric, Reported, Rrgs, Sum
from engine.spec.errors import ArtifactError
from engine.spec.ref import axes_of

Axes = dict[str, str]


@final
@dataclass(frozen=True, slots=True)
class Arm:
    """One thing and its numbers: by the value of the axis of repetition, or one under "" where there is none."""

    of: str
    axes: Axes
    """Without the axis of repetition."""
    draws: dict[str, float]


def measured(metric: Metric, inputs: Inputs) -> float:
    """The number of a metric that is read of one run."""
    return _number(metric, inputs.one(metric.of), inputs)


def arms(metrics: Sequence[Metric], axis: str, inputs: Inputs) -> list[list[Arm]]:
    """For each metric, the numbers of the cells it names; cells that differ in nothing but the axis are one arm.

    Where metrics have different keys, an arm is called by its key, too.
    """
    alike = len({metric.key for metric in metrics}) == 1
    return [_arms(metric, axis, inputs, "" if alike else f" {metric.key}") for metric in metrics]


def _arms(metric: Metric, axis: str, inputs: Inputs, suffix: str) -> list[Arm]:
    found: dict[str, Arm] = {}
    for source in inputs.all(metric.of):
        stage, axes = stage_and_axes(source)
        draw = axes.pop(axis, "")
        cell = ",".join(f"{name}={value}" for name, value in axes.items())
        of = (f"{stage}[{cell}]" if cell else stage) + suffix
        found.setdefault(of, Arm(of, axes, {})).draws[draw] = _number(metric, source, inputs)
    return list(found.values())


def stage_and_axes(source: Input) -> tuple[str, Axes]:
    """Of `paper-proxy/train[mix=dc1,seed=2]`."""
    stage, _, cell = source.run.partition("/")[2].partition("[")
    return stage, axes_of(cell.removesuffix("]"))


def told(metric: Metric) -> str:
    """A metric in words: where it is read, its key, and what is made of it."""
    text = _told(metric)
    if metric.over:
        text += f" / ({' + '.join(_told(part) for part in metric.over)})"
    return text if metric.times == 1 else f"{metric.times:g} * {text}"


def _told(wanted: Reported) -> str:
    fold = "" if isinstance(wanted.fold, Mean) else f" ({wanted.fold.kind})"
    return f"{wanted.of.partition('@')[0]} {wanted.key}{fold}"


def _number(metric: Metric, source: Input, inputs: Inputs) -> float:
    number = folded(metric, source)
    if metric.over:
        whole = math.fsum(folded(part, _beside(part, source, inputs)) for part in metric.over)
        if not whole:
            raise ArtifactError(f"{source.run}: {metric.key!r} is to be divided by a sum that is 0")
        number /= whole
    return number * metric.times


def _beside(part: Reported, source: Input, inputs: Inputs) -> Input:
    """The run that a part of a share is read of: the only one named, or the one of the same cell."""
    named, (_, axes) = inputs.all(part.of), stage_and_axes(source)
    return named[0] if len(named) == 1 else next(one for one in named if stage_and_axes(one)[1] == axes)


def folded(wanted: Reported, source: Input) -> float:
    """The number under a key, or what those under it fold into."""
    found = list(_numbers(wanted, source, source.manifest.metrics, tuple(wanted.key.split("."))))
    if not found and wanted.absent == "refused":
        raise ArtifactError(f"{source.run} reports no metric {wanted.key!r}")
    return fold(wanted.fold, found or [0.0])


def fold(how: Fold, numbers: Sequence[float]) -> float:
    """One number of several."""
    match how:
        case Mean():
            return math.fsum(numbers) / len(numbers)
        case Sum():
            return math.fsum(numbers)
        case Largest():
            return max(numbers)
        case Rrgs(choices=choices):
            return 1 - math.fsum(abs(score - 1 / choices) for score in numbers) / len(numbers)
        case _:
            assert_never(how)


def _numbers(wanted: Reported, source: Input, value: JsonValue, path: tuple[str, ...]) -> Iterator[float]:
    """The numbers below a value, in the order of their names."""
    if not path:
        yield _checked(wanted.key, source, value)
        return
    below = value if isinstance(value, dict) else {}
    for depth in range(1, len(path) + 1):  # a name may hold dots
        if (name := ".".join(path[:depth])) in below:
            yield from _numbers(wanted, source, below[name], path[depth:])
            return
    for pattern in path[0].split("|"):
        rule = re.escape(pattern).replace(r"\*", ".*")
        names = sorted(name for name in below if re.fullmatch(rule, name))
        if not names and wanted.absent == "refused":
            known = ", ".join(sorted(below)) or "nothing below it"
            raise ArtifactError(
                f"{source.run} reports no metric {wanted.key!r}: there is no {pattern!r}; it has {known}"
            )
        for name in names:
            yield from _numbers(wanted, source, below[name], path[1:])
        if not names:
            yield 0.0


def _checked(key: str, source: Input, value: JsonValue) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ArtifactError(
            f"{source.run}: metric {key!r} is {value!r:.60}, not a number; name one below it, or one that is there"
        )
    return float(value)


def by_domain(wanted: ByDomain, inputs: Inputs) -> dict[str, float]:
    """The numbers of one run by domain."""
    source = inputs.one(wanted.of)
    value: JsonValue = source.manifest.metrics
    for name in wanted.key.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, dict):
        raise ArtifactError(f"{source.run} reports nothing by domain under {wanted.key!r}")
    return {name: _checked(wanted.key, source, number) for name, number in value.items()}
