"""A pre-norm decoder with LayerNorm, biases, SwiGLU, tied embeddings and muP; positions by ALiBi or partial rotation.

The SlimPajama-DC 1.3B (Shen et al. 2023) and its relatives, BTLM and Crystal. Rotation pairs channel j with channel
j + channels / 2, as rotate() does; Crystal's code pairs neighbours, so its weights come in another order of channels.
"""

# B batch, T positions, D width, V vocabulary, H heads, J pairs of channels that turn

from typing import assert_never

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.kernels.attention.alibi import causal_bias, last_bias, slopes
from engine.kernels.rotary.reference import angles
from engine.kernels.spec import Kernels
from engine.models.blocks import Attention, Embedding, GatedMLP, KeyValues, LayerNorm, Turn, no_keys
from engine.models.decoder import Decoder
from engine.models.spec import Alibi, AlibiGpt, PartialRotary


class Block(nn.Module):
    """x + attention(norm x), then x + mlp(norm x); scores are divided by the head's width, not by its root (muP)."""

    def __init__(self, spec: AlibiGpt, kernels: Kernels) -> None:
        super().__init__()
        scale = 1.0 / (spec.width // spec.heads)
        self.attention_norm = LayerNorm(spec.width, spec.norm_eps, kernels)
        self.attention = Attention(spec.width, spec.heads, spec.heads, spec.linear, kernels, scale, bias=True)
        self.mlp_norm = LayerNorm(spec.width, spec.norm_eps, kernels)
        self.mlp = GatedMLP(spec.width, spec.mlp, spec.linear, kernels, bias=True)

    def forward(self, x_BTD: Tensor, turn: Turn | None, bias_HTT: Tensor | None) -> Tensor:
        x_BTD = x_BTD + self.attention(self.attention_norm(x_BTD), turn, bias_HTT)
        y_BTD: Tensor = x_BTD + self.mlp(self.mlp_norm(x_BTD))
        return y_BTD

    def step(self, x_BD: Tensor, turn: Turn | None, state: KeyValues, layer: int, bias_HS: Tensor | None) -> Tensor:
        x_BD = x_BD + self.attention.step(self.attention_norm(x_BD), turn, state, layer, bias_HS)
        y_BD: Tensor = x_BD + self.mlp(self.mlp_norm(x_BD))
        return y_BD


class AlibiGptDecoder(Decoder[KeyValues]):
    """With partial rotary positions at most `spec.context` of them; ALiBi sets no limit."""

    def __init__(self, spec: AlibiGpt, kernels: Kernels) -> None:
        super().__init__()
        self.spec = spec
        self.logit_scale = spec.mup.output * spec.mup.base_width / spec.width
        self.embedding = Embedding(spec.vocabulary, spec.width)
        self.layers = nn.ModuleList(Block(spec, kernels) for _ in range(spec.layers))
        self.norm = LayerNorm(spec.width, spec.norm_eps, kernels)
        match spec.position:
            case Alibi():
                self.register_buffer("slopes_H", torch.tensor(slopes(spec.heads)), persistent=False)
            case PartialRotary(channels=channels, base=base):
                self.context = spec.context
                cos_TJ, sin_TJ = angles(spec.context, channels, base)
                self.register_buffer("cos_TJ", cos_TJ, persistent=False)
                self.register_buffer("sin_TJ", sin_TJ, persistent=False)
            case _:
                assert_never(spec.position)

    def head_weight(self) -> Tensor:
        return self.embedding.weight

    def hidden(self, ids_BT: Tensor) -> Tensor:
        turn, bias_HTT = self._positions(ids_BT.shape[1])
        x_BTD = self.embedding(ids_BT) * self.spec.mup.embedding
        for layer in self.layers:
            x_BTD = layer(x_BTD, turn, bias_HTT)
        y_BTD: Tensor = self.norm(x_BTD)
        return y_BTD

    def empty(self, rows: int, positions: int) -> KeyValues:
        return no_keys(self.spec.layers, rows, self.spec.heads, positions, self.spec.width // self.spec.heads)

    def advance(self, ids_B: Tensor, state: KeyValues) -> Tensor:
        state.check_room(len(ids_B))
        turn, bias_HS = self._last_position(state.position)
        x_BD = self.embedding(ids_B) * self.spec.mup.embedding
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, Block)
            x_BD = layer.step(x_BD, turn, state, index, bias_HS)
        state.position += 1
        return F.linear(self.norm(x_BD), self.head_weight()) * self.logit_scale

    def _positions(self, tokens: int) -> tuple[Turn | None, Tensor | None]:
        """turn and bias_HTT of the first `tokens` positions, the same for all layers."""
        match self.spec.position:
            case Alibi():
                return None, causal_bias(self.get_buffer("slopes_H"), tokens)
            case PartialRotary():
                return self._turn(0, tokens), None
            case _:
                assert_never(self.spec.position)

    def _last_position(self, position: int) -> tuple[Turn | None, Tensor | None]:
        """turn and bias_HS of one position, counted from 0."""
        match self.spec.position:
            case Alibi():
                return None, last_bias(self.get_buffer("slopes_H"), position + 1)
            case PartialRotary():
                return self._turn(position, position + 1), None
            case _:
                assert_never(self.spec.position)

    def _turn(self, first: int, end: int) -> Turn:
        return self.get_buffer("cos_TJ")[first:end], self.get_buffer("sin_TJ")[first:end]
