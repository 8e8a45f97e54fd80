"""Numbers that rise, each against the next over the same seeds."""

from itertools import pairwise

from engine.artifacts.read import Inputs
from engine.evaluate.finding import Finding
from engine.evaluate.statistics.judge import matched, side, weigh
from engine.evaluate.statistics.outcome import over_seeds
from engine.evaluate.statistics.reported import arms, told
from engine.evaluate.statistics.spec import Ordered


def ordered(wanted: Ordered, inputs: Inputs) -> Finding:
    """Every number is below the next."""
    design = wanted.design
    rising = [arm for (arm,) in arms(wanted.rising, design.axis, inputs)]
    region, looks = side("lower", 0.0), len(rising) - 1
    estimates = [
        weigh(f"{low.of} - {high.of}", matched((low, high), lambda a, b: a - b), region, design, looks)
        for low, high in pairwise(rising)
    ]
    return over_seeds(" < ".join(told(metric) for metric in wanted.rising), design, region, rising, estimates)
