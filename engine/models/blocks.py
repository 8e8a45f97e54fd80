"""The blocks that decoders share: norms, grouped-query attention with its cache, the gated feed-forward."""

# B batch, T positions, S positions so far, P positions of a cache, D width, H query heads, G key heads, K head width,
# J pairs of channels that turn, F inner width of the feed-forward

from dataclasses import dataclass
from typing import assert_never

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.kernels.attention import attend_last, attention
from engine.kernels.binary_linear import binary_linear
from engine.kernels.gate import gated
from engine.kernels.norm import layer_norm, rms_norm
from engine.kernels.rotary import rotate
from engine.kernels.spec import Kernels
from engine.models.check import check_room
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


class LayerNorm(nn.Module):
    """Subtracts the mean of the last axis, then divides by its standard deviation."""

    def __init__(self, width: int, eps: float, kernels: Kernels) -> None:
        super().__init__()
        self.eps, self.kernels = eps, kernels
        self.weight = nn.Parameter(torch.empty(width))
        self.bias = nn.Parameter(torch.empty(width))

    def forward(self, x_BTD: Tensor) -> Tensor:
        return layer_norm(x_BTD, self.weight, self.bias, self.eps, backend=self.kernels.norm)


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


@dataclass(slots=True)
class KeyValues:
    """The decode state of a stack of attention blocks: keys and values of the first `position` ids of every row."""

    keys: list[Tensor]  # k_BGPK of each layer
    values: list[Tensor]
    position: int = 0

    def check_room(self, rows: int) -> None:
        """ArtifactError unless one more id of so many rows fits."""
        rows_kept, _, positions, _ = self.keys[0].shape
        check_room(rows, rows_kept, self.position, positions)


def no_keys(layers: int, rows: int, kv_heads: int, positions: int, head_width: int) -> KeyValues:
    """An empty cache of all layers."""
    shape = (rows, kv_heads, positions, head_width)
    keys, values = ([torch.zeros(shape) for _ in range(layers)] for _ in range(2))
    return KeyValues(keys, values)


Turn = tuple[Tensor, Tensor]
"""cos_TJ and sin_TJ of the angles by which the first 2 J channels of every head turn."""


class Attention(nn.Module):
    """Causal self-attention; G key heads serve H query heads, scores are multiplied by `scale`."""

    def __init__(
        self, width: int, heads: int, kv_heads: int, how: LinearSpec, kernels: Kernels, scale: float, bias: bool = False
    ) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.kernels, self.scale = heads, kv_heads, kernels, scale
        kv_width = width // heads * kv_heads
        self.query = linear(width, width, how, kernels, bias)
        self.key = linear(width, kv_width, how, kernels, bias)
        self.value = linear(width, kv_width, how, kernels, bias)
        self.output = linear(width, width, how, kernels, bias)

    def forward(self, x_BTD: Tensor, turn: Turn | None, bias_HTT: Tensor | None = None) -> Tensor:
        """y_BTD; `turn` rotates queries and keys by their positions, `bias_HTT` is added to the scores."""
        q_BHTK, k_BGTK, v_BGTK = self._heads(x_BTD, turn)
        y_BHTK = attention(q_BHTK, k_BGTK, v_BGTK, scale=self.scale, bias_HTT=bias_HTT, backend=self.kernels.attention)
        y_BTD: Tensor = self.output(y_BHTK.transpose(1, 2).flatten(-2))
        return y_BTD

    def step(
        self, x_BD: Tensor, turn: Turn | None, state: KeyValues, layer: int, bias_HS: Tensor | None = None
    ) -> Tensor:
        """y_BD of the id at `state.position`, whose key and value go into the cache of this layer."""
        q_BH1K, k_BG1K, v_BG1K = self._heads(x_BD[:, None], turn)
        state.keys[layer][:, :, state.position] = k_BG1K[:, :, 0]
        state.values[layer][:, :, state.position] = v_BG1K[:, :, 0]
        k_BGSK, v_BGSK = (x[layer][:, :, : state.position + 1] for x in (state.keys, state.values))
        y_BHK = attend_last(q_BH1K[:, :, 0], k_BGSK, v_BGSK, scale=self.scale, bias_HS=bias_HS)
        y_BD: Tensor = self.output(y_BHK.flatten(1))
        return y_BD

    def _heads(self, x_BTD: Tensor, turn: Turn | None) -> tuple[Tensor, Tensor, Tensor]:
        q_BHTK = _split(self.query(x_BTD), self.heads)
        k_BGTK = _split(self.key(x_BTD), self.kv_heads)
        v_BGTK = _split(self.value(x_BTD), self.kv_heads)
        if turn is None:
            return q_BHTK, k_BGTK, v_BGTK
        return self._turned(q_BHTK, turn), self._turned(k_BGTK, turn), v_BGTK

    def _turned(self, x_BHTK: Tensor, turn: Turn) -> Tensor:
        cos_TJ, sin_TJ = turn
        channels = 2 * cos_TJ.shape[-1]
        if channels == x_BHTK.shape[-1]:
            return rotate(x_BHTK, cos_TJ, sin_TJ, backend=self.kernels.rotary)
        turning, still = x_BHTK[..., :channels].contiguous(), x_BHTK[..., channels:]
        return torch.cat((rotate(turning, cos_TJ, sin_TJ, backend=self.kernels.rotary), still), dim=-1)


class GatedMLP(nn.Module):
    """SwiGLU: down(silu(gate x) * up x) (Shazeer 2020)."""

    def __init__(self, width: int, inner: int, how: LinearSpec, kernels: Kernels, bias: bool = False) -> None:
        super().__init__()
        self.kernels = kernels
        self.gate = linear(width, inner, how, kernels, bias)
        self.up = linear(width, inner, how, kernels, bias)
        self.down = linear(inner, width, how, kernels, bias)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Any leading axes; a decode step comes as [B, D]."""
        y_BTD: Tensor = self.down(gated(self.gate(x_BTD), self.up(x_BTD), backend=self.kernels.gate))
        return y_BTD


def _split(x_BTD: Tensor, heads: int) -> Tensor:
    return x_BTD.view(*x_BTD.shape[:2], heads, -1).transpose(1, 2)
