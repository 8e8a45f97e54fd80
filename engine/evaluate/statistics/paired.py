"""One thing against another over the same seeds, and one such difference against another."""

from engine.artifacts.read import Inputs
from engine.evaluate.finding import Finding
from engine.evaluate.statistics.judge import matched, side, weigh
from engine.evaluate.statistics.outcome import over_seeds
from engine.evaluate.statistics.reported import arms, told
from engine.evaluate.statistics.spec import Interaction, Paired, Side
from engine.spec.errors import ArtifactError


def paired(wanted: Paired, inputs: Inputs) -> Finding:
    """The mean difference lies on one side of a number."""
    design = wanted.design
    (left,), (right,) = arms((wanted.left, wanted.right), design.axis, inputs)
    effects = matched((left, right), lambda a, b: effect(a, b, wanted.relative))
    what = _effect(left.of, right.of, wanted.relative)
    region = side(wanted.left_is, wanted.than)
    estimate = weigh(what, effects, region, design)
    threshold = (
        f"{_effect(told(wanted.left), told(wanted.right), wanted.relative)} {_sign(wanted.left_is, wanted.than)}"
    )
    return over_seeds(threshold, design, region, [left, right], [estimate])


def interaction(wanted: Interaction, inputs: Inputs) -> Finding:
    """One difference of differences lies on one side of a number."""
    design, relative = wanted.design, wanted.relative
    metrics = (wanted.first.left, wanted.first.right, wanted.second.left, wanted.second.right)
    (a,), (b,), (c,), (d,) = arms(metrics, design.axis, inputs)
    effects = matched((a, b, c, d), lambda a, b, c, d: effect(a, b, relative) - effect(c, d, relative))
    region = side(wanted.first_is, wanted.than)
    estimate = weigh(f"({_effect(a.of, b.of, relative)}) - ({_effect(c.of, d.of, relative)})", effects, region, design)
    first, second = (_effect(told(pair.left), told(pair.right), relative) for pair in (wanted.first, wanted.second))
    threshold = f"({first}) - ({second}) {_sign(wanted.first_is, wanted.than)}"
    return over_seeds(threshold, design, region, [a, b, c, d], [estimate])


def effect(left: float, right: float, relative: bool) -> float:
    """The difference, absolute or relative to the right."""
    if relative and not right:
        raise ArtifactError("a claim compares with a number that is 0, relative to it; compare differences")
    return left / right - 1 if relative else left - right


def _effect(left: str, right: str, relative: bool) -> str:
    return f"{left} / {right} - 1" if relative else f"{left} - {right}"


def _sign(where: Side, than: float) -> str:
    return f"{'<' if where == 'lower' else '>'} {than:g}"
