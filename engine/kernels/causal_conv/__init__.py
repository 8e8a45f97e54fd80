"""Mamba-2's short convolution: each channel sees its own last K positions, then SiLU; and its step for decoding.

y_t = silu(bias + sum over k < K of weight_k x_{t - K + 1 + k}), with zeros before the first position.
"""

# B batch, T positions, C channels, K positions that an output sees

from typing import assert_never

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.kernels.causal_conv import reference
from engine.kernels.causal_conv.check import check
from engine.kernels.causal_conv.native import kernel as native
from engine.kernels.record import ran
from engine.kernels.spec import ConvBackend


def causal_conv(x_BTC: Tensor, weight_C1K: Tensor, bias_C: Tensor, *, backend: ConvBackend) -> Tensor:
    """y_BTC. ArtifactError for shapes that do not fit and for an empty batch."""
    check(x_BTC, weight_C1K, bias_C)
    match backend:
        case "reference":
            return reference.causal_conv(x_BTC, weight_C1K, bias_C)
        case "native":
            return native.causal_conv(x_BTC, weight_C1K, bias_C)
        case _:
            assert_never(backend)


def step(x_BC: Tensor, before_BJC: Tensor, weight_C1K: Tensor, bias_C: Tensor) -> tuple[Tensor, Tensor]:
    """y_BC of one position after the J = K - 1 before it, and what the next position has before it."""
    ran("decode", "reference")
    seen_BKC = torch.cat([before_BJC, x_BC[:, None]], dim=1)
    return F.silu((seen_BKC * weight_C1K[:, 0].T).sum(dim=1) + bias_C), seen_BKC[:, 1:]
