"""Attention: the fused kernel against its definition, ALiBi against transformers, one step over kept keys."""

# B batch, T positions, S key positions, H heads, G key heads, K head width

import math

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend
from transformers.models.bloom.modeling_bloom import build_alibi_tensor
from transformers.models.mpt.modeling_mpt import build_mpt_alibi_tensor

from engine.kernels import record
from engine.kernels.attention import attend_last, attention, sdpa
from engine.kernels.attention.alibi import causal_bias, last_bias, slopes
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


def alibi(heads: int) -> Tensor:
    return torch.tensor(slopes(heads))


@pytest.mark.parametrize("heads", [1, 2, 3, 6, 8, 12, 16, 20, 71, 112])
def test_slopes_are_those_of_bloom_and_mpt(heads: int) -> None:
    bias_HTT = causal_bias(alibi(heads), 9)
    bloom_HS = build_alibi_tensor(torch.ones(1, 9), heads, torch.float32)[:, 0]  # slope * s, without the query's place
    torch.testing.assert_close(bias_HTT[:, -1] - bias_HTT[:, -1, :1], bloom_HS, rtol=1e-6, atol=1e-6)
    if math.log2(heads).is_integer():  # MPT orders the others otherwise than the code of the paper does
        mpt_HS = build_mpt_alibi_tensor(heads, 9)[:, 0]
        torch.testing.assert_close(bias_HTT[:, -1], mpt_HS, rtol=1e-6, atol=0)
    assert torch.equal(bias_HTT[:, -1], last_bias(alibi(heads), 9))
    assert torch.all(bias_HTT.triu(1).isinf().sum((1, 2)) == 36)


@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (6, 2), (3, 1)])
def test_a_step_over_kept_keys_equals_the_last_position(heads: int, kv_heads: int) -> None:
    q_BHTK = draw(2, heads, 11, 8, seed=1)
    k_BGTK, v_BGTK = (draw(2, kv_heads, 11, 8, seed=s) for s in (2, 3))
    bias_HTT = causal_bias(alibi(heads), 11)
    whole = attention(q_BHTK, k_BGTK, v_BGTK, scale=0.125, bias_HTT=bias_HTT, backend="reference")
    last = attend_last(q_BHTK[:, :, -1], k_BGTK, v_BGTK, scale=0.125, bias_HS=bias_HTT[:, -1])
    torch.testing.assert_close(last, whole[:, :, -1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("tokens", [1, 7, 33, 600])
@pytest.mark.parametrize("which", range(2))
def test_sdpa_gives_no_number_where_the_reference_gives_none(bad: float, tokens: int, which: int) -> None:
    for alibi_bias in (None, causal_bias(alibi(2), tokens)):
        given = [draw(1, 2, tokens, 8, seed=s) for s in (1, 2, 3)]
        given[which][0, 0, : 513 if which else None] = bad  # more keys than the kernel takes at a time
        found = []
        for backend in ("reference", "sdpa"):
            leaves = [x.clone().requires_grad_() for x in given]
            y_BHTK = attention(*leaves, scale=0.5, bias_HTT=alibi_bias, backend=backend)  # type: ignore[arg-type]
            found.append([y_BHTK, *torch.autograd.grad(y_BHTK.sum(), leaves)])
        for defined, ours in zip(*found, strict=True):
            assert not (ours.isfinite() & ~defined.isfinite()).any()
        assert found[1][0][0, 1].isfinite().all()


def test_one_query_that_is_not_finite_leaves_the_other_positions_as_they_are() -> None:
    q, k, v = (draw(2, 2, 9, 8, seed=s) for s in (1, 2, 3))
    whole = attention(q, k, v, scale=0.5, backend="sdpa")
    q[1, 0, 4, 3] = math.nan
    found = attention(q, k, v, scale=0.5, backend="sdpa")
    assert found[1, 0, 4].isnan().all()
    found[1, 0, 4] = whole[1, 0, 4]
    assert torch.equal(found, whole)


def test_sdpa_of_what_is_finite_has_the_bits_of_the_bare_kernel() -> None:
    given = [draw(2, 3, 37, 8, seed=s).requires_grad_() for s in (1, 2, 3)]
    bounds_BHT = sdpa.bounds(given[0].detach(), given[1].detach(), 0.5)
    y = attention(*given, scale=0.5, backend="sdpa")
    bare = torch.nn.functional.scaled_dot_product_attention(*given, is_causal=True, scale=0.5)
    times_one = bare * (bounds_BHT - bounds_BHT + 1.0)[..., None]  # as a compiled graph has it
    expected = [bare, *torch.autograd.grad(bare.square().sum(), given, retain_graph=True)]
    for found in (y, times_one):
        ours = [found, *torch.autograd.grad(found.square().sum(), given, retain_graph=True)]
        assert all(torch.equal(a, b) for a, b in zip(ours, expected, strict=True))


def test_sdpa_never_falls_back_to_the_unfused_path() -> None:
    assert SDPBackend.MATH not in sdpa.BLOCKED
    q, trained_HTT = draw(1, 1, 4, 8, seed=1), torch.zeros(1, 4, 4, requires_grad=True)  # which no blocked kernel takes
    with pytest.raises(RuntimeError, match="No available kernel"):
        sdpa.attention(q, q, q, 1.0, trained_HTT)


def test_the_backend_that_ran_is_on_record() -> None:
    record.forget()
    q = draw(1, 1, 4, 8, seed=1)
    attention(q, q, q, scale=1.0, backend="sdpa")
    assert record.record() == {"attention": [{"kind": "sdpa"}]}
