"""Two runs that report by domain, held against each other: a mix as declared and as it came out, for instance."""

from pydantic import JsonValue

from engine.artifacts.read import Inputs
from engine.evaluate.finding import Finding, exactly
from engine.evaluate.statistics.reported import by_domain
from engine.evaluate.statistics.spec import Agree


def agree(wanted: Agree, inputs: Inputs) -> Finding:
    """Every domain of either lies within the distance; `numbers` are left, right and the largest distance."""
    left, right = by_domain(wanted.left, inputs), by_domain(wanted.right, inputs)
    names = sorted({*left, *right})
    off = max((abs(left.get(name, 0.0) - right.get(name, 0.0)) for name in names), default=0.0)
    numbers: dict[str, JsonValue] = {"largest distance": off}
    for name in names:
        numbers |= {f"{name}, left": left.get(name, 0.0), f"{name}, right": right.get(name, 0.0)}
    told = f"{wanted.left.of} {wanted.left.key} within {wanted.within:g} of {wanted.right.of} {wanted.right.key}"
    return exactly(off <= wanted.within, told, numbers)
