"""Causal attention written out: softmax(scale q k^T + bias) v, in the precision of its arguments."""

# B batch, T query positions, S key positions (S = T), H query heads, G key heads, K head width

import math

import torch
from torch import Tensor

from engine.kernels.record import ran


def attention(q_BHTK: Tensor, k_BGTK: Tensor, v_BGTK: Tensor, scale: float, bias_HTT: Tensor | None) -> Tensor:
    """Returns y_BHTK."""
    ran("attention", "reference")
    shared = q_BHTK.shape[1] // k_BGTK.shape[1]
    k_BHSK, v_BHSK = (x.repeat_interleave(shared, dim=1) for x in (k_BGTK, v_BGTK))
    scores_BHTS = q_BHTK @ k_BHSK.transpose(-1, -2) * scale
    if bias_HTT is not None:
        scores_BHTS = scores_BHTS + bias_HTT
    tokens = q_BHTK.shape[-2]
    later_TS = torch.ones(tokens, tokens, dtype=torch.bool, device=q_BHTK.device).triu(1)
    return scores_BHTS.masked_fill(later_TS, -math.inf).softmax(dim=-1) @ v_BHSK
