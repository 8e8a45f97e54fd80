"""One cell against every other over the same seeds."""

from engine.artifacts.read import Inputs
from engine.evaluate.finding import Finding
from engine.evaluate.statistics.judge import matched, side, weigh
from engine.evaluate.statistics.outcome import over_seeds
from engine.evaluate.statistics.reported import arms, told
from engine.evaluate.statistics.spec import Best
from engine.spec.errors import ArtifactError


def best(wanted: Best, inputs: Inputs) -> Finding:
    """The cell is on the better side of each of the others; the first estimate is that of the runner-up."""
    design = wanted.design
    (cell,), *rest = arms((wanted.cell, *wanted.others), design.axis, inputs)
    others = [arm for named in rest for arm in named if arm.of != cell.of]
    if not others:
        raise ArtifactError(f"there is nothing that {cell.of} could be better than")
    region = side("lower" if wanted.best == "lowest" else "higher", 0.0)
    estimates = [
        weigh(f"{cell.of} - {arm.of}", matched((cell, arm), lambda a, b: a - b), region, design, len(others))
        for arm in others
    ]
    order = sorted(range(len(others)), key=lambda n: _lead(estimates[n].mean, wanted))
    threshold = f"{told(wanted.cell)} is the {wanted.best} of {1 + len(others)} cells"
    return over_seeds(threshold, design, region, [cell, *(others[n] for n in order)], [estimates[n] for n in order])


def _lead(difference: float, wanted: Best) -> float:
    """How far the cell is ahead, negative where it is behind."""
    return -difference if wanted.best == "lowest" else difference
