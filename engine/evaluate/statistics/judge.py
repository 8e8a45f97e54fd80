"""Numbers of repeated runs held against a region: an interval, what follows from it, and what could have been seen."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, final

from engine.evaluate.statistics.reported import Arm
from engine.evaluate.statistics.spec import Design, Side
from engine.evaluate.statistics.students_t import quantile
from engine.spec.base import Spec
from engine.spec.errors import ArtifactError

Holds = Literal["yes", "no", "undecided"]


class Estimate(Spec):
    """One number that a claim is about, with its interval; a number without repetitions has none."""

    what: str
    values: tuple[float, ...]
    """One for each seed."""
    mean: float
    low: float | None
    high: float | None
    smallest_effect: float | None
    holds: Holds


class Draws(Spec):
    """The numbers of one cell, in the order of the seeds."""

    of: str
    values: tuple[float, ...]


class Statistics(Spec):
    """What a claim over repeated runs rests on."""

    axis: str
    seeds: tuple[str, ...]
    """The values of the axis; none where runs are not repeated."""
    level: float
    power: float
    region: tuple[float | None, float | None]
    """Where an estimate must lie, from and to."""
    arms: tuple[Draws, ...]
    estimates: tuple[Estimate, ...]


@final
@dataclass(frozen=True, slots=True)
class Region:
    """Where a number must lie; its ends belong to it where it is closed."""

    low: float | None
    high: float | None
    closed: bool = False

    def surely(self, low: float, high: float) -> bool:
        """Whether all of an interval lies inside."""
        if self.closed:
            return (self.low is None or self.low <= low) and (self.high is None or high <= self.high)
        return (self.low is None or self.low < low) and (self.high is None or high < self.high)

    def nowhere(self, low: float, high: float) -> bool:
        """Whether all of an interval lies outside, on one side."""
        return (self.low is not None and high < self.low) or (self.high is not None and self.high < low)


def side(where: Side, than: float) -> Region:
    """What lies on one side of a number."""
    return Region(None, than) if where == "lower" else Region(than, None)


def weigh(what: str, values: Sequence[float], region: Region, design: Design, looks: int = 1) -> Estimate:
    """The mean of values, one a seed, held against a region; of a single value, the value itself.

    The claim fails only at the level that Bonferroni asks of so many looks.
    """
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        holds: Holds = "yes" if region.surely(mean, mean) else "no"
        return Estimate(what=what, values=(mean,), mean=mean, low=None, high=None, smallest_effect=None, holds=holds)
    error, freedom = standard_error(values, mean), len(values) - 1
    half = quantile((1 + design.level) / 2, freedom) * error
    strict = quantile(1 - (1 - design.level) / 2 / looks, freedom) * error
    if region.surely(mean - half, mean + half):
        holds = "yes"
    else:
        holds = "no" if region.nowhere(mean - strict, mean + strict) else "undecided"
    return Estimate(
        what=what,
        values=tuple(values),
        mean=mean,
        low=mean - half,
        high=mean + half,
        smallest_effect=half + quantile(design.power, freedom) * error,
        holds=holds,
    )


def standard_error(values: Sequence[float], mean: float) -> float:
    """Of a mean, from the values' own spread."""
    squares = math.fsum((value - mean) ** 2 for value in values)
    return math.sqrt(squares / (len(values) - 1) / len(values))


def together(holds: Sequence[Holds]) -> Holds:
    """What follows for a claim that all of several things hold."""
    if "no" in holds:
        return "no"
    return "undecided" if "undecided" in holds else "yes"


def matched(arms: Sequence[Arm], combine: Callable[..., float]) -> list[float]:
    """One number for each seed, from that of each arm; ArtifactError when arms have other seeds."""
    seeds = arms[0].draws.keys()
    for arm in arms:
        if arm.draws.keys() != seeds:
            ours, theirs = (", ".join(in_order(one.draws)) or "no seed" for one in (arm, arms[0]))
            raise ArtifactError(f"{arm.of} has the seeds {ours}, but {arms[0].of} has {theirs}; only equal ones match")
    return [combine(*(arm.draws[seed] for arm in arms)) for seed in in_order(seeds)]


def in_order(seeds: Iterable[str]) -> list[str]:
    """Values of an axis, shorter ones first: 2 before 10."""
    return sorted(seeds, key=lambda seed: (len(seed), seed))
