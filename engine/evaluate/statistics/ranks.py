"""How alike two numbers rank the same cells: Spearman's correlation, one for each seed."""

import math
from collections.abc import Sequence
from typing import assert_never

from engine.artifacts.read import Inputs
from engine.evaluate.finding import Finding
from engine.evaluate.statistics.judge import Holds, Region, matched, weigh
from engine.evaluate.statistics.outcome import over_seeds
from engine.evaluate.statistics.reported import Arm, arms, told
from engine.evaluate.statistics.spec import Ranks
from engine.spec.errors import ArtifactError


def ranks(wanted: Ranks, inputs: Inputs) -> Finding:
    """The correlation lies within bounds, or another cell is the best."""
    design, region = wanted.design, Region(wanted.low, wanted.high, closed=True)
    named = arms((*wanted.x, *wanted.y), design.axis, inputs)
    sides = zip(named[: len(wanted.x)], named[len(wanted.x) :], strict=True)
    pairs = [pair for left, right in sides for pair in _cells(left, right)]
    xs, ys = [x for x, _ in pairs], [y for _, y in pairs]
    if len(pairs) < 3:
        raise ArtifactError(f"ranks of {len(pairs)} cells say nothing; name at least 3")
    rho = matched([*xs, *ys], lambda *both: spearman(both[: len(xs)], both[len(xs) :]))
    estimate = weigh(f"rank correlation over {len(pairs)} cells", rho, region, design)
    texts = (" and ".join(told(metric) for metric in of) for of in (wanted.x, wanted.y))
    threshold = f"{wanted.low:g} <= rank correlation of {' with '.join(texts)} <= {wanted.high:g}"
    holds = estimate.holds
    if wanted.or_other_best != "no":
        threshold += f", or the lowest of the first is never the {wanted.or_other_best} of the second"
        holds = either(holds, other_best(xs, ys, wanted))
    return over_seeds(threshold, design, region, [*xs, *ys], [estimate], holds)


def _cells(left: Sequence[Arm], right: Sequence[Arm]) -> list[tuple[Arm, Arm]]:
    """The cells of both, matched by their other axes."""
    found = [(one, other) for one in left for other in right if one.axes == other.axes]
    if not len(left) == len(right) == len(found):
        raise ArtifactError(f"{left[0].of} and {right[0].of} have other cells; ranks are of the same cells twice")
    return found


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Pearson's correlation of the ranks, equal values sharing theirs; 0 where all of one are equal."""
    a, b = _centred(x), _centred(y)
    scale = math.fsum(v * v for v in a) * math.fsum(v * v for v in b)
    return math.fsum(v * w for v, w in zip(a, b, strict=True)) / math.sqrt(scale) if scale else 0.0


def _centred(values: Sequence[float]) -> list[float]:
    """Ranks less their mean; doubled, so that they are whole."""
    below = [sum(other < value for other in values) for value in values]
    equal = [sum(other == value for other in values) for value in values]
    return [float(2 * low + same - len(values)) for low, same in zip(below, equal, strict=True)]


def other_best(xs: Sequence[Arm], ys: Sequence[Arm], wanted: Ranks) -> Holds:
    """Whether the cell of the lowest x is another than that of the best y: in every seed, in none, or in some."""
    differ = matched([*xs, *ys], lambda *both: _differs(both[: len(xs)], both[len(xs) :], wanted))
    if all(differ):
        return "yes"
    return "undecided" if any(differ) else "no"


def _differs(x: Sequence[float], y: Sequence[float], wanted: Ranks) -> bool:
    match wanted.or_other_best:
        case "highest":
            best = max(y)
        case "lowest" | "no":
            best = min(y)
        case _:
            assert_never(wanted.or_other_best)
    return y[x.index(min(x))] != best


def either(one: Holds, other: Holds) -> Holds:
    """What follows for a claim that one of two things holds."""
    if "yes" in (one, other):
        return "yes"
    return "no" if (one, other) == ("no", "no") else "undecided"
