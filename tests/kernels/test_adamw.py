"""AdamW against torch's, its independence of partitions, and its exact powers."""

import pytest
import torch

from engine.kernels.adamw import adamw
from engine.kernels.adamw.reference import Update, power


def update(step: int, decay: float) -> Update:
    return Update(step, lr=1e-2, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=decay, gradient_scale=1.0)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_ten_steps_equal_torch_within_rounding(decay: float) -> None:
    drawn = torch.Generator().manual_seed(0)
    p = torch.randn(33, 7, generator=drawn)
    theirs = p.clone().requires_grad_()
    optimizer = torch.optim.AdamW([theirs], lr=1e-2, betas=(0.9, 0.95), eps=1e-8, weight_decay=decay)
    exp_avg, exp_avg_sq = torch.zeros_like(p), torch.zeros_like(p)
    for step in range(1, 11):
        theirs.grad = torch.randn(33, 7, generator=drawn)
        adamw(p, theirs.grad, exp_avg, exp_avg_sq, update(step, decay), backend="reference")
        optimizer.step()
    torch.testing.assert_close(p, theirs.detach(), rtol=1e-6, atol=1e-7)


def test_a_partition_of_a_tensor_gets_the_same_bits() -> None:
    drawn = torch.Generator().manual_seed(0)
    whole = [torch.randn(1001, generator=drawn) for _ in range(3)] + [torch.rand(1001, generator=drawn)]
    pieces = [[t[:337].clone() for t in whole], [t[337:].clone() for t in whole]]
    for four in (whole, *pieces):
        adamw(four[0], four[1], four[2], four[3], update(3, 0.1), backend="reference")
    for i in (0, 2, 3):
        assert torch.equal(whole[i], torch.cat([piece[i] for piece in pieces]))


@pytest.mark.parametrize("exponent", [0, 1, 2, 7, 1000])
def test_power_is_a_power(exponent: int) -> None:
    assert power(0.95, exponent) == pytest.approx(0.95**exponent, rel=1e-13)
