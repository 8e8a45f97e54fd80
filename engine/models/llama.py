"""LLaMA: a pre-norm decoder with RMSNorm, rotary positions and SwiGLU, without biases (Touvron et al. 2023)."""

# B batch, T positions, D width, V vocabulary, J = half a head's width

import math

import torch.nn.functional as F
from torch import Tensor, nn

from engine.kernels.rotary.reference import angles
from engine.kernels.spec import Kernels
from engine.models.blocks import Attention, Embedding, GatedMLP, KeyValues, Linear, RMSNorm, Turn, no_keys
from engine.models.decoder import Decoder
from engine.models.spec import Llama


class Block(nn.Module):
    """x + attention(norm x), then x + mlp(norm x)."""

    def __init__(self, spec: Llama, kernels: Kernels) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(spec.width, spec.norm_eps, kernels)
        scale = 1.0 / math.sqrt(spec.width // spec.heads)
        self.attention = Attention(spec.width, spec.heads, spec.kv_heads, spec.linear, kernels, scale)
        self.mlp_norm = RMSNorm(spec.width, spec.norm_eps, kernels)
        self.mlp = GatedMLP(spec.width, spec.mlp, spec.linear, kernels)

    def forward(self, x_BTD: Tensor, turn: Turn) -> Tensor:
        x_BTD = x_BTD + self.attention(self.attention_norm(x_BTD), turn)
        y_BTD: Tensor = x_BTD + self.mlp(self.mlp_norm(x_BTD))
        return y_BTD

    def step(self, x_BD: Tensor, turn: Turn, state: KeyValues, layer: int) -> Tensor:
        x_BD = x_BD + self.attention.step(self.attention_norm(x_BD), turn, state, layer)
        y_BD: Tensor = x_BD + self.mlp(self.mlp_norm(x_BD))
        return y_BD


class LlamaDecoder(Decoder[KeyValues]):
    """At most `spec.context` positions."""

    def __init__(self, spec: Llama, kernels: Kernels) -> None:
        super().__init__()
        self.spec, self.context = spec, spec.context
        self.embedding = Embedding(spec.vocabulary, spec.width)
        self.layers = nn.ModuleList(Block(spec, kernels) for _ in range(spec.layers))
        self.norm = RMSNorm(spec.width, spec.norm_eps, kernels)
        self.head = None if spec.tied else Linear(spec.width, spec.vocabulary)
        cos_TJ, sin_TJ = angles(spec.context, spec.width // spec.heads, spec.rope_base)
        self.register_buffer("cos_TJ", cos_TJ, persistent=False)
        self.register_buffer("sin_TJ", sin_TJ, persistent=False)

    def head_weight(self) -> Tensor:
        return self.embedding.weight if self.head is None else self.head.weight

    def hidden(self, ids_BT: Tensor) -> Tensor:
        tokens = ids_BT.shape[1]
        cos_TJ, sin_TJ = self.get_buffer("cos_TJ")[:tokens], self.get_buffer("sin_TJ")[:tokens]
        x_BTD = self.embedding(ids_BT)
        for layer in self.layers:
            x_BTD = layer(x_BTD, (cos_TJ, sin_TJ))
        y_BTD: Tensor = self.norm(x_BTD)
        return y_BTD

    def empty(self, rows: int, positions: int) -> KeyValues:
        return no_keys(self.spec.layers, rows, self.spec.kv_heads, positions, self.spec.width // self.spec.heads)

    def advance(self, ids_B: Tensor, state: KeyValues) -> Tensor:
        state.check_room(len(ids_B))
        here = slice(state.position, state.position + 1)
        turn = self.get_buffer("cos_TJ")[here], self.get_buffer("sin_TJ")[here]
        x_BD = self.embedding(ids_B)
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, Block)
            x_BD = layer.step(x_BD, turn, state, index)
        state.position += 1
        return F.linear(self.norm(x_BD), self.head_weight())
