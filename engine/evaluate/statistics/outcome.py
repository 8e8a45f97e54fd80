"""The finding of a claim over repeated runs: its verdict follows from its estimates, and it shows every number."""

import math
from collections.abc import Sequence

from pydantic import JsonValue

from engine.evaluate.finding import Finding
from engine.evaluate.statistics.judge import Draws, Estimate, Holds, Region, Statistics, in_order, together
from engine.evaluate.statistics.reported import Arm
from engine.evaluate.statistics.spec import Design


def over_seeds(
    threshold: str,
    design: Design,
    region: Region,
    arms: Sequence[Arm],
    estimates: Sequence[Estimate],
    holds: Holds | None = None,
) -> Finding:
    """All estimates must hold, unless it is said what follows; `numbers` are the means of the arms."""
    seeds = in_order({seed for arm in arms for seed in arm.draws if seed})
    draws = [Draws(of=arm.of, values=tuple(arm.draws[seed] for seed in in_order(arm.draws))) for arm in arms]
    numbers: dict[str, JsonValue] = {one.of: math.fsum(one.values) / len(one.values) for one in draws}
    statistics = Statistics(
        axis=design.axis,
        seeds=tuple(seeds),
        level=design.level,
        power=design.power,
        region=(region.low, region.high),
        arms=tuple(draws),
        estimates=tuple(estimates),
    )
    return Finding(holds or together([one.holds for one in estimates]), threshold, numbers, statistics)
