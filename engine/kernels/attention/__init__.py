"""Causal attention: `reference` is the definition, `sdpa` is torch's fused kernel."""

# B batch, T query positions, S key positions, H query heads, G key heads, R = H / G, K head width

from typing import assert_never

import torch
from torch import Tensor

from engine.kernels.attention import reference, sdpa
from engine.kernels.attention.check import check
from engine.kernels.record import ran
from engine.kernels.spec import AttentionBackend


def attention(
    q_BHTK: Tensor,
    k_BGTK: Tensor,
    v_BGTK: Tensor,
    *,
    scale: float,
    bias_HTT: Tensor | None = None,
    backend: AttentionBackend,
) -> Tensor:
    """Each query position over itself and all earlier ones; H query heads share G key heads in blocks of H / G.

    Scores are `scale` * q k^T + bias; a bias (attention/alibi.py) is -infinity where the key is later.
    ArtifactError for shapes that do not fit. A query or key that is not finite gives NaN, never a number.
    """
    check(q_BHTK, k_BGTK, v_BGTK, bias_HTT)
    match backend:
        case "reference":
            return reference.attention(q_BHTK, k_BGTK, v_BGTK, scale, bias_HTT)
        case "sdpa":
            return sdpa.attention(q_BHTK, k_BGTK, v_BGTK, scale, bias_HTT)
        case _:
            assert_never(backend)


def attend_last(
    q_BHK: Tensor, k_BGSK: Tensor, v_BGSK: Tensor, *, scale: float, bias_HS: Tensor | None = None
) -> Tensor:
    """y_BHK of one query over all S keys that are kept for it; two products that read each of them once."""
    ran("decode", "reference")
    rows, groups, tokens, head_width = k_BGSK.shape
    q_BGRK = q_BHK.reshape(rows, groups, -1, head_width)
    scores_BGRS = q_BGRK @ k_BGSK.transpose(-1, -2) * scale
    if bias_HS is not None:
        scores_BGRS = scores_BGRS + bias_HS.reshape(groups, -1, tokens)
    y_BGRK: Tensor = torch.softmax(scores_BGRS, dim=-1) @ v_BGSK
    return y_BGRK.flatten(1, 2)
