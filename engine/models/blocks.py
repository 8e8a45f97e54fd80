"""The blocks that decoders share: RMSNorm, rotary grouped-query attention, the gated feed-forward."""

# B batch, T positions, D width, H query heads, G key heads, K head width, J = K / 2, F inner width of the feed-forward

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.kernels.attention import attention
from engine.kernels.norm import rms_norm
from engine.kernels.rotary import rotate
from engine.kernels.spec import Kernels


class RMSNorm(nn.Module):
    """Divides by the root mean square of the last axis."""

    def __init__(self, width: int, eps: float, kernels: Kernels) -> None:
        super().__init__()
        self.eps, self.kernels = eps, kernels
        self.weight = nn.Parameter(torch.empty(width))

    def forward(self, x_BTD: Tensor) -> Tensor:
        return rms_norm(x_BTD, self.weight, self.eps, backend=self.kernels.norm)


class Linear(nn.Module):
    """A matrix without bias, left unset: weights come from the caller, never from torch's generator."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight)


class Embedding(nn.Module):
    """Rows of a matrix by id, left unset."""

    def __init__(self, ids: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(ids, width))

    def forward(self, ids_BT: Tensor) -> Tensor:
        return F.embedding(ids_BT, self.weight)


class Attention(nn.Module):
    """Causal self-attention with rotary positions; G key heads serve H query heads."""

    def __init__(self, width: int, heads: int, kv_heads: int, kernels: Kernels) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.kernels = heads, kv_heads, kernels
        kv_width = width // heads * kv_heads
        self.query = Linear(width, width)
        self.key = Linear(width, kv_width)
        self.value = Linear(width, kv_width)
        self.output = Linear(width, width)

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

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate = Linear(width, inner)
        self.up = Linear(width, inner)
        self.down = Linear(inner, width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        y_BTD: Tensor = self.down(F.silu(self.gate(x_BTD)) * self.up(x_BTD))
        return y_BTD


def _split(x_BTD: Tensor, heads: int) -> Tensor:
    return x_BTD.view(*x_BTD.shape[:2], heads, -1).transpose(1, 2)
