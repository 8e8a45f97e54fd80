"""The fused attention against its definition: outputs and gradients, with and without shared key heads."""

import pytest
import torch
from torch import Tensor

from engine.kernels.attention import attention
from engine.kernels.spec import AttentionBackend


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def with_gradients(heads: int, kv_heads: int, tokens: int, backend: AttentionBackend) -> list[Tensor]:
    q_BHTK = draw(2, heads, tokens, 8, seed=1).requires_grad_()
    k_BGTK = draw(2, kv_heads, tokens, 8, seed=2).requires_grad_()
    v_BGTK = draw(2, kv_heads, tokens, 8, seed=3).requires_grad_()
    y_BHTK = attention(q_BHTK, k_BGTK, v_BGTK, scale=8**-0.5, backend=backend)
    gradients = torch.autograd.grad(y_BHTK, (q_BHTK, k_BGTK, v_BGTK), draw(2, heads, tokens, 8, seed=4))
    return [y_BHTK.detach(), *gradients]


@pytest.mark.parametrize(("heads", "kv_heads", "tokens"), [(4, 4, 17), (4, 2, 17), (6, 1, 64), (1, 1, 1)])
def test_sdpa_equals_reference_within_rounding(heads: int, kv_heads: int, tokens: int) -> None:
    reference = with_gradients(heads, kv_heads, tokens, "reference")
    for ours, defined in zip(with_gradients(heads, kv_heads, tokens, "sdpa"), reference, strict=True):
        torch.testing.assert_close(ours, defined, rtol=2e-5, atol=2e-6)


def test_no_position_sees_a_later_one() -> None:
    q_BHTK, k_BGTK, v_BGTK = (draw(1, 2, 9, 4, seed=s) for s in (1, 2, 3))
    before = attention(q_BHTK, k_BGTK, v_BGTK, scale=0.5, backend="reference")
    k_BGTK[:, :, 5:] += 1.0
    v_BGTK[:, :, 5:] += 1.0
    after = attention(q_BHTK, k_BGTK, v_BGTK, scale=0.5, backend="reference")
    assert torch.equal(before[:, :, :5], after[:, :, :5])
    assert not torch.equal(before[:, :, 5:], after[:, :, 5:])
