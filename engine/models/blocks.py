"""The blocks that decoders share: RMSNorm, rotary grouped-query attention, the gated feed-forward."""

# B batch, T positions, D width, H query heads, G key heads, K head width, J = K / 2, F inner width of the feed-forward

from typing import assert_never

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.kernels.attention import attention
from engine.kernels.binary_linear import binary_linear
from engine.kernels.gate import gated
from engine.kernels.norm import rms_norm
from engine.kernels.rotary import rotate
from engine.kernels.spec import Kernels
from engine.models.spec import Dense, FbiLinear
from engine.models.spec import Linear as LinearSpec


class RMSNorm(nn.Module):
    """Divides by the root mean square of the last axis."""

    def __init__(self, width: int, eps: float, kernels: Kernels) -> None:
        super().__init__()
        self.eps, self.kernels = eps, kernels
        self.weight = nn.Parameter(torch.empty(width))

    def forward(self, x_BTD: Tensor) -> Tensor:
        return rms_norm(x_BTD, self.weight, self.eps, backend=self.kernels.norm)


class Linear(nn.Module):
    """A matrix, with a bias or without, left unset: weights come from the caller, never from torch's generator."""

    def __init__(self, inputs: int, outputs: int, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class BinaryLinear(nn.Module):
    """y = x (alpha * sign(W) + beta)^T: a latent matrix of which only the signs count (models/spec.py: FbiLinear)."""

    def __init__(self, inputs: int, outputs: int, bias: bool, spec: FbiLinear, kernels: Kernels) -> None:
        super().__init__()
        scales = {"input": inputs, "output": outputs, "tensor": 1}[spec.scale]
        self.spec, self.kernels = spec, kernels
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.alpha = nn.Parameter(torch.empty(scales))
        self.beta = nn.Parameter(torch.empty(scales))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        how, backend = self.spec, self.kernels.binary_linear
        y = binary_linear(x, self.weight, self.alpha, self.beta, scale=how.scale, zero=how.zero, backend=backend)
        return y if self.bias is None else y + self.bias


def linear(inputs: int, outputs: int, how: LinearSpec, kernels: Kernels, bias: bool = False) -> nn.Module:
    """A matrix inside a block, as the model's spec wants them."""
    match how:
        case Dense():
            return Linear(inputs, outputs, bias)
        case FbiLinear():
            return BinaryLinear(inputs, outputs, bias, how, kernels)
        case _:
            assert_never(how)


class Embedding(nn.Module):
    """Rows of a matrix by id, left unset."""

    def __init__(self, ids: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(ids, width))

    def forward(self, ids_BT: Tensor) -> Tensor:
        return F.embedding(ids_BT, self.weight)


class Attention(nn.Module):
    """Causal self-attention with rotary positions; G key heads serve H query heads."""

    def __init__(self, width: int, heads: int, kv_heads: int, how: LinearSpec, kernels: Kernels) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.kernels = heads, kv_heads, kernels
        kv_width = width // heads * kv_heads
        self.query = linear(width, width, how, kernels)
        self.key = linear(width, kv_width, how, kernels)
        self.value = linear(width, kv_width, how, kernels)
        self.output = linear(width, width, how, kernels)

    def forward(self, x_BTD: Tensor, cos_TJ: Tensor, sin_TJ: Tensor) -> Tensor:
        q_BHTK = _split(self.query(x_BTD), self.heads)
        k_BGTK = _split(self.key(x_BTD), self.kv_heads)
        v_BGTK = _split(self.value(x_BTD), self.kv_heads)
        q_BHTK = rotate(q_BHTK, cos_TJ, sin_TJ, backend=self.kernels.rotary)
        k_BGTK = rotate(k_BGTK, cos_TJ, sin_TJ, backend=self.kernels.rotary)
        y_BHTK = attention(q_BHTK, k_BGTK, v_BGTK, backend=self.kernels.attention)
        y_BTD: Tensor = self.output(y_BHTK.transpose(1, 2).flatten(-2))
        return y_BTD


class GatedMLP(nn.Module):
    """SwiGLU: down(silu(gate x) * up x) (Shazeer 2020)."""

    def __init__(self, width: int, inner: int, how: LinearSpec, kernels: Kernels) -> None:
        super().__init__()
        self.kernels = kernels
        self.gate = linear(width, inner, how, kernels)
        self.up = linear(width, inner, how, kernels)
        self.down = linear(inner, width, how, kernels)

    def forward(self, x_BTD: Tensor) -> Tensor:
        y_BTD: Tensor = self.down(gated(self.gate(x_BTD), self.up(x_BTD), backend=self.kernels.gate))
        return y_BTD


def _split(x_BTD: Tensor, heads: int) -> Tensor:
    return x_BTD.view(*x_BTD.shape[:2], heads, -1).transpose(1, 2)
