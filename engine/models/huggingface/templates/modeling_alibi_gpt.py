"""The alibi_gpt family for transformers: LayerNorm, biases, SwiGLU, muP, ALiBi or partial rotary positions.

Load its folder with AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True). This file needs torch and
transformers alone.
"""

# B batch, T positions, S positions with those of the cache, D width, H heads, K head width, J pairs that turn

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import DynamicCache, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast


class AlibiGptConfig(PretrainedConfig):
    """`position`, `mup` and `linear` are tagged objects, as in the spec that the model was trained by."""

    model_type = "facsimile_alibi_gpt"

    def __init__(
        self,
        vocab_size: int = 50277,
        hidden_size: int = 2048,
        num_hidden_layers: int = 24,
        num_attention_heads: int = 16,
        intermediate_size: int = 5461,
        max_position_embeddings: int = 2048,
        layer_norm_eps: float = 1e-5,
        position: dict[str, Any] | None = None,
        mup: dict[str, Any] | None = None,
        linear: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = intermediate_size
        self.max_position_embeddings = max_position_embeddings
        self.layer_norm_eps = layer_norm_eps
        self.position = position or {"kind": "alibi"}
        self.mup = mup or {"base_width": 256, "embedding": 14.6, "output": 2.22}
        self.linear = linear or {"kind": "dense"}
        super().__init__(**kwargs)


class BinaryLinear(nn.Module):
    """y = x (alpha * sign(W) + beta)^T + bias; alpha and beta have one entry for each input, each output, or in all."""

    def __init__(self, inputs: int, outputs: int, how: dict[str, Any]) -> None:
        super().__init__()
        scales = {"input": inputs, "output": outputs, "tensor": 1}[how["scale"]]
        self.how = how
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.alpha = nn.Parameter(torch.empty(scales))
        self.beta = nn.Parameter(torch.empty(scales))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, x: Tensor) -> Tensor:
        zero = {"minus_one": -1.0, "plus_one": 1.0, "zero": 0.0}[self.how["zero"]]
        signs_OI = torch.where(self.weight == 0, zero, self.weight.sign()) + (self.weight - self.weight.detach())
        axis = (-1, 1) if self.how["scale"] == "output" else (-1,)
        return F.linear(x, self.alpha.view(axis) * signs_OI + self.beta.view(axis)) + self.bias


def linear(inputs: int, outputs: int, config: AlibiGptConfig) -> nn.Module:
    if config.linear["kind"] == "dense":
        return nn.Linear(inputs, outputs)
    return BinaryLinear(inputs, outputs, config.linear)


class Attention(nn.Module):
    """Scores are divided by the head's width (muP); `bias` masks later positions and carries ALiBi."""

    def __init__(self, config: AlibiGptConfig, layer: int) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads, self.layer = config.num_attention_heads, layer
        self.query, self.key, self.value, self.output = (linear(width, width, config) for _ in range(4))

    def forward(
        self, x_BTD: Tensor, bias_BHTS: Tensor, turn: tuple[Tensor, Tensor] | None, cache: DynamicCache | None
    ) -> Tensor:
        q_BHTK, k_BHSK, v_BHSK = (self.split(project(x_BTD)) for project in (self.query, self.key, self.value))
        if turn is not None:
            q_BHTK, k_BHSK = turned(q_BHTK, *turn), turned(k_BHSK, *turn)
        if cache is not None:
            k_BHSK, v_BHSK = cache.update(k_BHSK, v_BHSK, self.layer)
        scale = 1.0 / q_BHTK.shape[-1]
        y_BHTK = F.scaled_dot_product_attention(q_BHTK, k_BHSK, v_BHSK, attn_mask=bias_BHTS, scale=scale)
        y_BTD: Tensor = self.output(y_BHTK.transpose(1, 2).flatten(-2))
        return y_BTD

    def split(self, x_BTD: Tensor) -> Tensor:
        return x_BTD.view(*x_BTD.shape[:2], self.heads, -1).transpose(1, 2)


class GatedMLP(nn.Module):
    """down(silu(gate x) * up x)."""

    def __init__(self, config: AlibiGptConfig) -> None:
        super().__init__()
        self.gate = linear(config.hidden_size, config.intermediate_size, config)
        self.up = linear(config.hidden_size, config.intermediate_size, config)
        self.down = linear(config.intermediate_size, config.hidden_size, config)

    def forward(self, x_BTD: Tensor) -> Tensor:
        y_BTD: Tensor = self.down(F.silu(self.gate(x_BTD)) * self.up(x_BTD))
        return y_BTD


class Block(nn.Module):
    """x + attention(norm x), then x + mlp(norm x)."""

    def __init__(self, config: AlibiGptConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.attention = Attention(config, layer)
        self.mlp_norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.mlp = GatedMLP(config)

    def forward(
        self, x_BTD: Tensor, bias_BHTS: Tensor, turn: tuple[Tensor, Tensor] | None, cache: DynamicCache | None
    ) -> Tensor:
        x_BTD = x_BTD + self.attention(self.attention_norm(x_BTD), bias_BHTS, turn, cache)
        y_BTD: Tensor = x_BTD + self.mlp(self.mlp_norm(x_BTD))
        return y_BTD


class AlibiGptForCausalLM(PreTrainedModel, GenerationMixin):
    """Ids to logits; the head is the embedding. Padding is masked by `attention_mask`, on either side."""

    config_class = AlibiGptConfig

    def __init__(self, config: AlibiGptConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config, layer) for layer in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.logit_scale = config.mup["output"] * config.mup["base_width"] / config.hidden_size
        self.post_init()

    def get_input_embeddings(self) -> nn.Embedding:
        return self.embedding

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        past_key_values: DynamicCache | None = None,
        use_cache: bool | None = None,
        labels: Tensor | None = None,
        **_: Any,
    ) -> CausalLMOutputWithPast:
        cache = past_key_values
        if cache is None and use_cache:
            cache = DynamicCache()
        before = 0 if cache is None else cache.get_seq_length()
        x_BTD = self.embedding(input_ids) * self.config.mup["embedding"]
        bias_BHTS = score_bias(self.config, before, before + input_ids.shape[1], attention_mask, x_BTD)
        turn = rotation(self.config, before, before + input_ids.shape[1], x_BTD)
        for layer in self.layers:
            x_BTD = layer(x_BTD, bias_BHTS, turn, cache)
        logits_BTV = F.linear(self.norm(x_BTD), self.embedding.weight) * self.logit_scale
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits_BTV[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())
        return CausalLMOutputWithPast(loss=loss, logits=logits_BTV, past_key_values=cache)


def score_bias(config: AlibiGptConfig, first: int, end: int, padding_BS: Tensor | None, like: Tensor) -> Tensor:
    """bias_BHTS of queries `first` to `end` over keys before `end`: -slope * distance, the least if later."""
    at_S = torch.arange(end, device=like.device)
    ahead_TS = at_S - at_S[first:, None]
    if config.position["kind"] == "alibi":
        slopes_H = torch.tensor(slopes(config.num_attention_heads), device=like.device)
    else:
        slopes_H = torch.zeros(1, device=like.device)
    hidden_BHTS = (ahead_TS > 0)[None, None]
    if padding_BS is not None:
        hidden_BHTS = hidden_BHTS | (padding_BS[:, None, None, :end] == 0)
    bias_BHTS = (slopes_H[:, None, None] * ahead_TS)[None].to(like.dtype)
    return bias_BHTS.masked_fill(hidden_BHTS, torch.finfo(like.dtype).min)


def slopes(heads: int) -> list[float]:
    """The rule of Press et al. 2022, and that of their code where `heads` is no power of two."""
    below = 2 ** int(math.log2(heads))
    between = [2.0 ** (-8.0 * i / (2 * below)) for i in range(1, 2 * below + 1, 2)]
    return [*(2.0 ** (-8.0 * i / below) for i in range(1, below + 1)), *between[: heads - below]]


def rotation(config: AlibiGptConfig, first: int, end: int, like: Tensor) -> tuple[Tensor, Tensor] | None:
    """cos_TJ and sin_TJ of the channels that turn; the angle is rounded to fp32 before its cosine is taken in fp64."""
    if config.position["kind"] != "partial_rotary":
        return None
    channels, base = config.position["channels"], config.position["base"]
    powers_J = torch.arange(0, channels, 2, dtype=torch.float64, device=like.device) / channels
    inverse_J = (1.0 / base**powers_J).float()
    angle_TJ = torch.outer(torch.arange(first, end, device=like.device).float(), inverse_J).double()
    return angle_TJ.cos().to(like.dtype), angle_TJ.sin().to(like.dtype)


def turned(x_BHTK: Tensor, cos_TJ: Tensor, sin_TJ: Tensor) -> Tensor:
    """Channel j turns against channel j + J, for the first 2 J channels."""
    pairs = cos_TJ.shape[-1]
    first_BHTJ, second_BHTJ, still = x_BHTK.split((pairs, pairs, x_BHTK.shape[-1] - 2 * pairs), dim=-1)
    return torch.cat(
        (first_BHTJ * cos_TJ - second_BHTJ * sin_TJ, second_BHTJ * cos_TJ + first_BHTJ * sin_TJ, still), dim=-1
    )
