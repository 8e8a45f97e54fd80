"""Exact sums: the mean and the norm that whole numbers give, against fractions and fp64, and the rules of the scale."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from engine.train.regroup import scale, sums
from engine.train.regroup.whole import WholeSums

SLOTS = 5
BUCKET = 7
magnitudes = st.floats(min_value=2.0**-80, max_value=2.0**80, width=32)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One rank, without a process group."""
    monkeypatch.setattr(sums.comm, "all_reduce", lambda tensor, op=None: tensor)  # noqa: ARG005
    monkeypatch.setattr(sums.comm, "get_rank", lambda: 0)
    monkeypatch.setattr(sums.comm, "get_world_size", lambda: 1)


def folded(gradients: list[list[torch.Tensor]], exponents: tuple[int, ...]) -> tuple[WholeSums, list[nn.Parameter]]:
    """The sums of slots of gradients, each a list over parameters."""
    parameters = [nn.Parameter(torch.zeros_like(g)) for g in gradients[0]]
    found = WholeSums(parameters, len(gradients), BUCKET)
    found.begin(exponents)
    for slot in gradients:
        for p, gradient in zip(parameters, slot, strict=True):
            p.grad = gradient.clone()
            found.fold(p)
            assert p.grad is None
    found.reduce()
    return found, parameters


def slots(seed: int) -> list[list[torch.Tensor]]:
    made = torch.Generator().manual_seed(seed)
    sizes = [(3, 11), (5,), (2, 2, 4)]
    return [
        [torch.randn(size, generator=made) * 10.0 ** -(i + n % 2) for i, size in enumerate(sizes)] for n in range(SLOTS)
    ]


def bounds(gradients: list[list[torch.Tensor]]) -> tuple[int, ...]:
    peaks = [max(slot[i].abs().max().item() for slot in gradients) for i in range(len(gradients[0]))]
    return tuple(scale.exponent_of(peak) + scale.HEADROOM for peak in peaks)


def test_means_are_those_of_fp64_to_the_places_that_are_kept(alone: None) -> None:  # noqa: ARG001
    gradients = slots(1)
    exponents = bounds(gradients)
    found, parameters = folded(gradients, exponents)
    found.hand_over()
    for i, p in enumerate(parameters):
        wanted = sum(slot[i].double() for slot in gradients) / SLOTS
        assert p.grad is not None
        place = 2.0 ** -scale.shift(exponents[i], SLOTS)
        assert (p.grad.double() - wanted).abs().max() <= place / 2 + 2.0**-24 * wanted.abs().max()


def test_no_order_of_slots_changes_a_bit(alone: None) -> None:  # noqa: ARG001
    gradients = slots(2)
    found = []
    for order in (gradients, gradients[::-1], gradients[2:] + gradients[:2]):
        summed, parameters = folded(order, bounds(gradients))
        norm = summed.norm()
        summed.hand_over()
        found.append((norm, [p.grad.tolist() for p in parameters if p.grad is not None]))
    assert found[0] == found[1] == found[2]


def test_the_norm_is_the_root_of_an_exact_sum(alone: None) -> None:  # noqa: ARG001
    gradients = slots(3)
    found, parameters = folded(gradients, bounds(gradients))
    exact = Fraction(0)
    for number, places in enumerate(found.shifts):
        whole = found.flat[found.slices[number]].tolist()
        exact += sum(Fraction(n, 2**places) ** 2 for n in whole)
    assert found.norm() == pytest.approx(math.sqrt(exact) / SLOTS, rel=1e-15)
    found.hand_over()
    fp64 = math.sqrt(sum(p.grad.double().square().sum().item() for p in parameters if p.grad is not None))
    assert fp64 == pytest.approx(math.sqrt(exact) / SLOTS, rel=1e-6)


def test_halves_of_the_largest_sums_add_exactly() -> None:
    part = torch.tensor([2**30, -(2**30), 2**30 - 1, -1, 0, 1, 32767, -32768], dtype=torch.int32)
    high, mixed, low = sums._squares(part).tolist()
    assert (high << 30) + (mixed << 16) + low == sum(n * n for n in part.tolist())


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_slot_that_is_not_finite_has_no_finite_peak(alone: None, bad: float) -> None:  # noqa: ARG001
    gradients = slots(4)
    exponents = bounds(gradients)
    gradients[3][1][2] = bad
    found, _ = folded(gradients, exponents)
    assert [math.isfinite(peak) for peak in found.peaks_of_all()] == [True, False, True]


@given(st.lists(magnitudes, min_size=1, max_size=5), st.integers(min_value=1, max_value=4096))
def test_so_many_slots_below_a_bound_never_leave_32_bits(peaks: list[float], count: int) -> None:
    for peak in peaks:
        places = scale.shift(scale.exponent_of(peak), count)
        assert count * round(Fraction(peak) * Fraction(2) ** places) <= 2**31 - 1


@given(st.lists(magnitudes, min_size=1, max_size=5), st.data())
def test_bounds_are_raised_once_and_then_fit(peaks: list[float], data: st.DataObject) -> None:
    before = tuple(data.draw(st.integers(min_value=scale.LEAST, max_value=90)) for _ in peaks)
    raised = scale.widened(before, peaks)
    assert scale.fits(raised, peaks)
    assert all(
        now == was or now == scale.exponent_of(p) + scale.HEADROOM
        for now, was, p in zip(raised, before, peaks, strict=True)
    )
    after = scale.next_exponents(raised, peaks)
    assert scale.fits(after, [min(peak * 2.0 ** (scale.HEADROOM - 1), 2.0**89) for peak in peaks])


def test_a_tensor_without_a_gradient_keeps_the_lowest_bound_in_reach() -> None:
    assert scale.exponent_of(0.0) == scale.LEAST
    assert 2.0 ** scale.shift(scale.LEAST, 1) < 2.0**127
