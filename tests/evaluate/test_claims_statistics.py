"""Numbers of repeated runs: Student's t, intervals and what follows from them, ranks, and the smallest effect."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from engine.evaluate.statistics.judge import Region, matched, side, together, weigh
from engine.evaluate.statistics.ranks import either, spearman
from engine.evaluate.statistics.reported import Arm
from engine.evaluate.statistics.spec import Design
from engine.evaluate.statistics.students_t import arc_tangent, central, quantile
from engine.spec.errors import ArtifactError

DESIGN = Design()


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 9, 30, 101])
@pytest.mark.parametrize("probability", [0.5, 0.6, 0.8, 0.95, 0.975, 0.9975, 0.9999])
def test_quantiles_are_those_of_students_t(freedom: int, probability: float) -> None:
    assert quantile(probability, freedom) == pytest.approx(stats.t.ppf(probability, freedom), rel=1e-11, abs=1e-15)


@given(st.floats(0, 1e6), st.integers(1, 200))
def test_probabilities_are_those_of_students_t(t: float, freedom: int) -> None:
    assert central(t, freedom) == pytest.approx(1 - 2 * stats.t.sf(t, freedom), abs=1e-12)


@given(st.floats(0, 1e300))
def test_the_arc_tangent_is_that_of_the_library(x: float) -> None:
    assert arc_tangent(x) == pytest.approx(math.atan(x), rel=1e-15, abs=1e-300)


def test_an_interval_of_three_seeds_by_hand() -> None:
    found = weigh("x", [1.0, 2.0, 3.0], side("higher", 0.0), DESIGN)  # s = 1, standard error 1/sqrt(3)
    half = 4.302652729911275 / math.sqrt(3)
    assert (found.low, found.high) == (pytest.approx(2 - half), pytest.approx(2 + half))
    assert found.smallest_effect == pytest.approx(half + 1.0606601717798212 / math.sqrt(3))
    assert found.holds == "undecided"


@pytest.mark.parametrize(
    ("values", "holds"),
    [
        ([-1.0, -1.1, -0.9], "yes"),
        ([1.0, 1.1, 0.9], "no"),
        ([-1.0, 1.1, 0.1], "undecided"),
        ([-1.0, -0.1, -0.3], "undecided"),  # the stated sign, and an interval that reaches over zero
        ([0.0, 0.0, 0.0], "undecided"),
        ([-0.5], "yes"),  # no repetitions: the number itself
        ([0.0], "no"),
    ],
)
def test_what_follows_from_an_interval(values: list[float], holds: str) -> None:
    assert weigh("x", values, side("lower", 0.0), DESIGN).holds == holds


def test_many_looks_ask_for_more_before_a_claim_fails_but_not_before_it_holds() -> None:
    values = [1.0, 1.3, 0.7]
    assert weigh("x", values, side("lower", 0.0), DESIGN).holds == "no"
    assert weigh("x", values, side("lower", 0.0), DESIGN, looks=7).holds == "undecided"
    assert weigh("x", values, side("higher", 0.0), DESIGN, looks=7).holds == "yes"


def test_a_closed_region_holds_its_ends() -> None:
    assert weigh("x", [0.95, 0.95], Region(0.95, None, closed=True), DESIGN).holds == "yes"
    assert weigh("x", [0.95, 0.95], Region(0.95, None), DESIGN).holds == "undecided"
    assert weigh("x", [2.0], Region(0.0, 1.0, closed=True), DESIGN).holds == "no"


def test_the_smallest_effect_is_one_that_is_seen_with_the_power_that_was_asked_for() -> None:
    """Drawn designs of five seeds with a true effect of that size; quantiles of the central t are an approximation."""
    draws = np.random.Generator(np.random.Philox(7)).normal(size=(4000, 5))
    effect = (quantile(0.975, 4) + quantile(0.8, 4)) / math.sqrt(5)  # of known spread 1
    seen = sum(weigh("x", (row - effect).tolist(), side("lower", 0.0), DESIGN).holds == "yes" for row in draws)
    assert 0.74 < seen / len(draws) < 0.86


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=9))
def test_rank_correlation_is_spearmans(pairs: list[tuple[int, int]]) -> None:
    x, y = ([float(pair[n]) for pair in pairs] for n in (0, 1))
    flat = len(set(x)) == 1 or len(set(y)) == 1
    wanted = 0.0 if flat else stats.spearmanr(x, y).statistic
    assert spearman(x, y) == pytest.approx(wanted, abs=1e-12)


def test_what_follows_for_all_and_for_one_of_two() -> None:
    assert together(["yes", "undecided", "no"]) == "no"
    assert together(["yes", "undecided"]) == "undecided"
    assert together(["yes", "yes"]) == "yes"
    assert either("no", "undecided") == "undecided"
    assert either("no", "yes") == "yes"
    assert either("no", "no") == "no"


def test_runs_are_matched_by_seed_whatever_their_order() -> None:
    left = Arm("a", {}, {"10": 1.0, "2": 5.0})
    assert matched((left, Arm("b", {}, {"2": 3.0, "10": 2.0})), lambda a, b: a - b) == [2.0, -1.0]
    with pytest.raises(ArtifactError, match=r"b has the seeds 3, but a has 2, 10"):
        matched((left, Arm("b", {}, {"3": 3.0})), lambda a, b: a - b)
