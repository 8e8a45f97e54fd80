"""LLaMA: a pre-norm decoder with RMSNorm, rotary positions and SwiGLU, without biases (Touvron et al. 2023)."""

# B batch, T positions, D width, V vocabulary, J = half a head's width

import torch.nn.functional as F
from torch import Tensor, nn

from engine.kernels.rotary.reference import angles
from engine.kernels.spec import Kernels
from engine.models.blocks import Attention, Embedding, GatedMLP, Linear, RMSNorm
from engine.models.spec import Llama


class Block(nn.Module):
    """x + attention(norm x), then x + mlp(norm x)."""

    def __init__(self, spec: Llama, kernels: Kernels) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(spec.width, spec.norm_eps, kernels)
        self.attention = Attention(spec.width, spec.heads, spec.kv_heads, kernels)
        self.mlp_norm = RMSNorm(spec.width, spec.norm_eps, kernels)
        self.mlp = GatedMLP(spec.width, spec.mlp)

    def forward(self, x_BTD: Tensor, cos_TJ: Tensor, sin_TJ: Tensor) -> Tensor:
        x_BTD = x_BTD + self.attention(self.attention_norm(x_BTD), cos_TJ, sin_TJ)
        y_BTD: Tensor = x_BTD + self.mlp(self.mlp_norm(x_BTD))
        return y_BTD


class LlamaDecoder(nn.Module):
    """Ids to the logits of each next id. At most `spec.context` positions."""

    def __init__(self, spec: Llama, kernels: Kernels) -> None:
        super().__init__()
        self.embedding = Embedding(spec.vocabulary, spec.width)
        self.layers = nn.ModuleList(Block(spec, kernels) for _ in range(spec.layers))
        self.norm = RMSNorm(spec.width, spec.norm_eps, kernels)
        self.head = None if spec.tied else Linear(spec.width, spec.vocabulary)
        cos_TJ, sin_TJ = angles(spec.context, spec.width // spec.heads, spec.rope_base)
        self.register_buffer("cos_TJ", cos_TJ, persistent=False)
        self.register_buffer("sin_TJ", sin_TJ, persistent=False)

    def forward(self, ids_BT: Tensor) -> Tensor:
        tokens = ids_BT.shape[1]
        cos_TJ, sin_TJ = self.get_buffer("cos_TJ")[:tokens], self.get_buffer("sin_TJ")[:tokens]
        x_BTD = self.embedding(ids_BT)
        for layer in self.layers:
            x_BTD = layer(x_BTD, cos_TJ, sin_TJ)
        x_BTD = self.norm(x_BTD)
        head_VD = self.embedding.weight if self.head is None else self.head.weight
        logits_BTV: Tensor = F.linear(x_BTD, head_VD)
        return logits_BTV
