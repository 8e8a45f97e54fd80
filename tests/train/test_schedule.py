"""Warm-up, cosine, line and phases of decay: end points, monotony, and the cosine against the C library's."""

import math

import pytest

from engine.train.schedule import cos_pi, learning_rate, weight_decay
from engine.train.spec import AdamW, Cosine, DecayPhase, Linear

COSINE = Cosine(kind="cosine", peak=1e-3, floor=1e-4, warmup_steps=4)


def test_rises_to_the_peak_and_falls_to_the_floor() -> None:
    rates = [learning_rate(COSINE, step, 20) for step in range(1, 21)]
    assert rates[:4] == [0.25e-3, 0.5e-3, 0.75e-3, 1e-3]
    assert rates[11] == pytest.approx(5.5e-4)
    assert rates[-1] == pytest.approx(1e-4)
    assert rates[3:] == sorted(rates[3:], reverse=True)


def test_without_warm_up_the_first_step_is_already_below_the_peak() -> None:
    assert learning_rate(COSINE.replace(warmup_steps=0), 1, 20) < 1e-3


def test_a_line_falls_evenly_from_the_peak_to_the_floor() -> None:
    line = Linear(kind="linear", peak=1.0, floor=0.5, warmup_steps=4)
    assert [learning_rate(line, step, 8) for step in range(1, 9)] == [0.25, 0.5, 0.75, 1.0, 0.875, 0.75, 0.625, 0.5]


def test_decay_changes_at_the_first_update_of_a_phase() -> None:
    phases = (DecayPhase(from_step=3, weight_decay=0.5), DecayPhase(from_step=5, weight_decay=0.1))
    spec = AdamW(kind="adamw", lr=COSINE, betas=(0.9, 0.95), weight_decay=0.0, later_decays=phases, clip=1.0)
    assert [weight_decay(spec, step) for step in range(1, 7)] == [0.0, 0.0, 0.5, 0.5, 0.1, 0.1]


@pytest.mark.parametrize("x", [0.0, 0.1, 0.25, 0.5, 0.50001, 0.75, 1.0])
def test_cosine_is_a_cosine(x: float) -> None:
    assert cos_pi(x) == pytest.approx(math.cos(math.pi * x), abs=3e-16)


def test_golden_rates() -> None:
    assert [learning_rate(COSINE, step, 7).hex() for step in (5, 6)] == GOLDEN


GOLDEN = ["0x1.9652bd3c36114p-11", "0x1.54c985f06f695p-12"]
