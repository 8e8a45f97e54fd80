"""The vocabulary of models: families, sizes and how weights are drawn."""

from typing import Literal

from engine.spec.base import Spec
from engine.spec.units import Count, Positive


class NormalInit(Spec):
    """Weights from N(0, std^2); the matrices that write into the residual stream get std / sqrt(2 layers)."""

    kind: Literal["normal"] = "normal"
    std: Positive = 0.02
    residual: Literal["scaled", "plain"] = "scaled"


class Llama(Spec):
    """A decoder with RMSNorm, rotary positions and SwiGLU, no biases (Touvron et al. 2023, LLaMA)."""

    kind: Literal["llama"]
    vocabulary: Count
    layers: Count
    width: Count
    heads: Count
    kv_heads: Count
    mlp: Count
    """Inner width of the gated feed-forward block."""
    context: Count
    """Positions that an exported model declares."""
    norm_eps: Positive = 1e-5
    rope_base: Positive = 10000.0
    tied: bool
    """Whether input and output embeddings are one matrix."""
    init: NormalInit = NormalInit()


Model = Llama
"""Every family; a second one makes it a union told apart by `kind`."""
