"""LLaMA: a pre-norm decoder with RMSNorm, rotary positions and SwiGLU, without biases (Touvron et al. 2023)."""

# B batch, T positions, D width, V vocabulary, J = half a head's width

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.kernels.rotary.reference import angles
from engine.kernels.spec import Kernels
from engine.models.blocks import Attention, Embedding, GatedMLP, Linear, RMSNorm
from engine.models.decoder import Decoder
from engine.models.spec import Llama


class Block(nn.Module):
    """x + attention(norm x), then x + mlp(norm x)."""

    def __init__(self, spec: Llama, kernels: Kernels) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(spec.width, spec.norm_eps, kernels)
        self.attention = Attention(spec.width, spec.heads, spec.kv_heads, spec.linear, kernels)
        self.mlp_norm = RMSNorm(spec.width, spec.norm_eps, kernels)
        self.mlp = GatedMLP(spec.width, spec.mlp, spec.linear, kernels)

    def forward(self, x_BTD: Tensor, cos_TJ: Tensor, sin_TJ: Tensor) -> Tensor:
        x_BTD = x_BTD + self.attention(self.attention_norm(x_BTD), cos_TJ, sin_TJ)
        y_BTD: Tensor = x_BTD + self.mlp(self.mlp_norm(x_BTD))
        return y_BTD


@dataclass(slots=True)
class LlamaState:
    """Keys and values of the positions so far, for every layer."""

    keys: list[Tensor]  # [rows, kv_heads, positions, head_width] each
    values: list[Tensor]
    position: int = 0


class LlamaDecoder(Decoder[LlamaState]):
    """At most `spec.context` positions."""

    def __init__(self, spec: Llama, kernels: Kernels) -> None:
        super().__init__()
        self.spec = spec
        self.embedding = Embedding(spec.vocabulary, spec.width)
        self.layers = nn.ModuleList(Block(spec, kernels) for _ in range(spec.layers))
        self.norm = RMSNorm(spec.width, spec.norm_eps, kernels)
        self.head = None if spec.tied else Linear(spec.width, spec.vocabulary)
        cos_TJ, sin_TJ = angles(spec.context, spec.width // spec.heads, spec.rope_base)
        self.register_buffer("cos_TJ", cos_TJ, persistent=False)
        self.register_buffer("sin_TJ", sin_TJ, persistent=False)

    def head_weight(self) -> Tensor:
        return self.embedding.weight if self.head is None else self.head.weight

    def features(self, ids_BT: Tensor) -> Tensor:
        tokens = ids_BT.shape[1]
        cos_TJ, sin_TJ = self.get_buffer("cos_TJ")[:tokens], self.get_buffer("sin_TJ")[:tokens]
        x_BTD = self.embedding(ids_BT)
        for layer in self.layers:
            x_BTD = layer(x_BTD, cos_TJ, sin_TJ)
        y_BTD: Tensor = self.norm(x_BTD)
        return y_BTD

    def begin(self, rows: int, positions: int) -> LlamaState:
        shape = (rows, self.spec.kv_heads, positions, self.spec.width // self.spec.heads)
        keys, values = ([torch.zeros(shape) for _ in self.layers] for _ in range(2))
        return LlamaState(keys, values)

    def step(self, ids_B: Tensor, state: LlamaState) -> Tensor:
        raise NotImplementedError
