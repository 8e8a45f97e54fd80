"""Numbers that lie between two others, each cell by itself over its seeds."""

from engine.artifacts.read import Inputs
from engine.evaluate.finding import Finding
from engine.evaluate.statistics.judge import Region, in_order, weigh
from engine.evaluate.statistics.outcome import over_seeds
from engine.evaluate.statistics.reported import arms, told
from engine.evaluate.statistics.spec import Bound


def bound(wanted: Bound, inputs: Inputs) -> Finding:
    """Every cell's mean lies within the bounds."""
    design, region = wanted.design, Region(wanted.low, wanted.high, closed=True)
    cells = [arm for named in arms(wanted.of, design.axis, inputs) for arm in named]
    estimates = [
        weigh(arm.of, [arm.draws[seed] for seed in in_order(arm.draws)], region, design, len(cells)) for arm in cells
    ]
    low = "" if wanted.low is None else f"{wanted.low:g} <= "
    high = "" if wanted.high is None else f" <= {wanted.high:g}"
    threshold = "; ".join(f"{low}{told(metric)}{high}" for metric in wanted.of)
    return over_seeds(threshold, design, region, cells, estimates)
