"""Rules for claims: ids of their own, references that name one run where one is wanted, and cells that match."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never, final

from engine.compile.lower import CLAIMS
from engine.compile.resolve import cell_of, named_outputs, named_runs, reference_problems, settled, stage_of
from engine.data.spec import Chunks, Fim
from engine.evaluate.spec import AtMost, Check, ClaimsPlan, Disjoint, EqualContent, Traced
from engine.evaluate.statistics.spec import (
    Agree,
    Best,
    Bound,
    Design,
    Interaction,
    Metric,
    Ordered,
    Paired,
    Ranks,
    Shares,
)
from engine.experiment import Experiment
from engine.spec.errors import Problem
from engine.spec.ref import Ref, axes_of
from engine.spec.refs import references

Found = Iterator[tuple[str, str]]  # (path in the check, message)


def claim_problems(experiment: Experiment) -> Iterator[Problem]:
    """Claims with unknown references, ids that stand twice, and cells that cannot be compared."""
    seen: set[str] = set()
    for index, claim in enumerate(experiment.claims):
        if claim.id in seen:
            yield Problem(f"the id {claim.id!r} stands twice; every claim needs its own", f"claims.{index}.id")
        seen.add(claim.id)
        broken = False
        alone = ClaimsPlan(kind="claims", claims=(claim,), tokenizer_kinds=())
        for problem in reference_problems(CLAIMS, alone, experiment.stages):
            broken = True
            path = problem.path.removeprefix(f"stages.{CLAIMS}.claims.0.")
            yield Problem(problem.message, f"claims.{index}.{path}")
        if not broken:
            found = check_problems(claim.check, experiment)
            yield from (Problem(text, f"claims.{index}.check.{path}") for path, text in found)


def check_problems(check: Check, experiment: Experiment) -> Found:
    """What is wrong with the cells that a check names."""
    match check:
        case EqualContent() | AtMost() | Traced() | Disjoint() | Shares() | Agree():
            for path, ref in references(check):
                yield from _one(ref, ".".join(path), experiment)
            if isinstance(check, Traced) and _infilled(check.rows, experiment):
                yield "rows", f"{check.rows} are in fill-in-the-middle form; trace the rows that they are made of"
        case Paired():
            yield from _compared({"left": check.left, "right": check.right}, check.design, experiment)
        case Interaction():
            sides = {
                f"{name}.{side}": metric
                for name, pair in (("first", check.first), ("second", check.second))
                for side, metric in (("left", pair.left), ("right", pair.right))
            }
            yield from _compared(sides, check.design, experiment)
        case Best():
            yield from _best(check, experiment)
        case Ordered():
            rising = {f"rising.{n}": metric for n, metric in enumerate(check.rising)}
            yield from _compared(rising, check.design, experiment, repeated=False)
        case Bound():
            if check.low is None and check.high is None:
                yield "low", "a bound without `low` and `high` says nothing; write one of them, or both"
            yield from _empty(check.low, check.high)
            for n, metric in enumerate(check.of):
                yield from Cells(metric, f"of.{n}", check.design, experiment).problems()
        case Ranks():
            yield from _empty(check.low, check.high)
            yield from _ranks(check, experiment)
        case _:
            assert_never(check)


def _infilled(rows: Ref, experiment: Experiment) -> bool:
    stages = [experiment.stages[run] for run in named_runs(rows.parts, experiment.stages)]
    return any(isinstance(s, Fim) or (isinstance(s, Chunks) and _infilled(s.rows, experiment)) for s in stages)


def _empty(low: float | None, high: float | None) -> Found:
    if low is not None and high is not None and low > high:
        yield "low", f"nothing lies from {low:g} to {high:g}; write the lower end first"


def _one(ref: Ref, path: str, experiment: Experiment) -> Found:
    found = _outputs(ref, experiment)
    if len(found) != 1:
        yield path, f"{ref!s} names {len(found)} outputs, and one is wanted, for instance {found[0]}"


def _outputs(ref: Ref, experiment: Experiment) -> list[str]:
    parts = settled(ref, experiment.stages).parts
    runs = named_runs(parts, experiment.stages)
    return [f"{run}@{output}" for run in runs for output in named_outputs(parts, experiment.stages[run])]


@final
@dataclass(frozen=True, slots=True)
class Cells:
    """The cells that a metric names; those that differ in nothing but the axis are one group."""

    metric: Metric
    path: str
    design: Design
    experiment: Experiment

    def groups(self) -> dict[str, frozenset[str]]:
        """The values of the axis by group; a group of a stage without that axis has none."""
        found: dict[str, set[str]] = {}
        for run in named_runs(self.metric.of.parts, self.experiment.stages):
            axes = axes_of(cell_of(run))
            seed = axes.pop(self.design.axis, None)
            of = stage_of(run) + str(sorted(axes.items()))
            found.setdefault(of, set()).update([] if seed is None else [seed])
        return {of: frozenset(seeds) for of, seeds in found.items()}

    def problems(self) -> Found:
        """More than one output of a run, a single seed, or shares that are read of other cells."""
        runs = named_runs(self.metric.of.parts, self.experiment.stages)
        if len(_outputs(self.metric.of, self.experiment)) != len(runs):
            yield f"{self.path}.of", f"{self.metric.of!s} names many outputs of one run; name one"
        if any(len(seeds) == 1 for seeds in self.groups().values()):
            yield f"{self.path}.of", f"{self.metric.of!s} has one value of {self.design.axis}; an interval wants two"
        cells = {cell_of(run) for run in runs}
        for n, part in enumerate(self.metric.over):
            theirs = {cell_of(run) for run in named_runs(part.of.parts, self.experiment.stages)}
            if len(_outputs(part.of, self.experiment)) != 1 and not cells <= theirs:
                text = f"{part.of!s} is neither one output nor the same cells as {self.metric.of!s}"
                yield f"{self.path}.over.{n}.of", text


def _compared(metrics: dict[str, Metric], design: Design, experiment: Experiment, repeated: bool = True) -> Found:
    """Each metric names one group, and all groups have the same seeds."""
    sides = [Cells(metric, path, design, experiment) for path, metric in metrics.items()]
    for side in sides:
        yield from side.problems()
        if len(side.groups()) > 1:
            text = f"{side.metric.of!s} names cells that differ in more than {design.axis}; write values for the rest"
            yield f"{side.path}.of", text
    yield from _same_seeds(sides, design, repeated)


def _same_seeds(sides: Sequence[Cells], design: Design, repeated: bool) -> Found:
    first = next(iter(sides[0].groups().values()))
    if repeated and not first:
        text = f"{sides[0].metric.of!s} has no axis {design.axis!r}; matched runs are wanted, or another design.axis"
        yield f"{sides[0].path}.of", text
    for side in sides[1:]:
        for seeds in side.groups().values():
            if seeds != first:
                theirs, ours = (", ".join(sorted(values)) or "none" for values in (seeds, first))
                text = f"{design.axis} is {theirs} in {side.metric.of!s}, and {ours} in {sides[0].metric.of!s}"
                yield f"{side.path}.of", f"{text}; only runs of equal {design.axis} match"
                break


def _best(check: Best, experiment: Experiment) -> Found:
    cell = Cells(check.cell, "cell", check.design, experiment)
    others = [Cells(metric, f"others.{n}", check.design, experiment) for n, metric in enumerate(check.others)]
    yield from _compared({"cell": check.cell}, check.design, experiment)
    for other in others:
        yield from other.problems()
    yield from ((path, text) for path, text in _same_seeds([cell, *others], check.design, False))
    if not {of for other in others for of in other.groups()} - set(cell.groups()):
        yield "others", "they name the cell alone; name what it is held against"


def _ranks(check: Ranks, experiment: Experiment) -> Found:
    if len(check.x) != len(check.y):
        yield "y", f"{len(check.y)} metrics, and {len(check.x)} in x; each x wants its y"
        return
    x, y = (
        [Cells(metric, f"{name}.{n}", check.design, experiment) for n, metric in enumerate(metrics)]
        for name, metrics in (("x", check.x), ("y", check.y))
    )
    for side in (*x, *y):
        yield from side.problems()
    yield from _same_seeds([*x, *y], check.design, False)
    for one, other in zip(x, y, strict=True):
        ours, theirs = (
            {cell_of(run) for run in named_runs(s.metric.of.parts, experiment.stages)} for s in (one, other)
        )
        if ours != theirs:
            yield f"{other.path}.of", f"{other.metric.of!s} names other cells than {one.metric.of!s}"
    if sum(len(side.groups()) for side in x) < 3:
        yield "x", "ranks of fewer than 3 cells say nothing; name more"
