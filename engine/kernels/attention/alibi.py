"""ALiBi: a bias of -slope * distance on every attention score, another slope for each head (Press et al. 2022)."""

# H heads, T query positions, S key positions

import math

import torch
from torch import Tensor


def slopes(heads: int) -> tuple[float, ...]:
    """2^(-8 i / heads) for i from 1 where heads is a power of two.

    Otherwise, as in the code of Press et al.: the slopes of the largest power of two below, then every other slope of
    twice that number, from the first.
    """
    below = 2 ** int(math.log2(heads))
    between = [2.0 ** (-8.0 * i / (2 * below)) for i in range(1, 2 * below + 1, 2)]
    return (*(2.0 ** (-8.0 * i / below) for i in range(1, below + 1)), *between[: heads - below])


def causal_bias(slopes_H: Tensor, tokens: int) -> Tensor:
    """bias_HTT for T = S = `tokens`: -slope * (t - s), and -infinity where s is later than t."""
    at_T = torch.arange(tokens, device=slopes_H.device)
    ahead_TT = at_T - at_T[:, None]
    bias_HTT = slopes_H[:, None, None] * ahead_TT
    return bias_HTT.masked_fill(ahead_TT > 0, -math.inf)


def last_bias(slopes_H: Tensor, tokens: int) -> Tensor:
    """bias_HS of the last of `tokens` positions: the last row of `causal_bias`."""
    return slopes_H[:, None] * torch.arange(1 - tokens, 1, device=slopes_H.device)
