"""The vocabulary of models: families, sizes, positions, 1-bit matrices and how weights are drawn."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.config import JsonDict

from engine.kernels.spec import ScaleAxis, SignOfZero
from engine.spec.base import NEUTRAL, Spec
from engine.spec.units import Count, NonNegative, Positive


class NormalInit(Spec):
    """Weights from N(0, std^2); the matrices that write into the residual stream get std / sqrt(2 layers)."""

    kind: Literal["normal"] = "normal"
    std: Positive = 0.02
    residual: Literal["scaled", "plain"] = "scaled"


class Dense(Spec):
    """Matrices of floating-point numbers."""

    kind: Literal["dense"] = "dense"


class FbiLinear(Spec):
    """Every matrix inside a block is alpha * sign(W) + beta with latent fp32 W; gradients pass sign unchanged.

    alpha and beta begin as mean |W - mean W| and mean W over the other axis; all three are trained. Embedding, head
    and vectors stay as they are. Source: FBI-LLM (arXiv 2407.07093) and its repository, pattern `column`.
    """

    kind: Literal["fbi"]
    scale: ScaleAxis = "input"
    zero: SignOfZero = "minus_one"
    """The paper has minus one, its training code zero."""


Linear = Annotated[Dense | FbiLinear, Field(discriminator="kind")]
DENSE: JsonDict = {"kind": "dense"}


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
    linear: Linear = Field(default=Dense(), json_schema_extra={NEUTRAL: DENSE})
    init: NormalInit = NormalInit()


class Alibi(Spec):
    """A bias of -slope * distance on every attention score (Press et al. 2022)."""

    kind: Literal["alibi"]


class PartialRotary(Spec):
    """The first `channels` of each head turn with the position, the others do not (GPT-J; Crystal-7B: 32 of 128)."""

    kind: Literal["partial_rotary"]
    channels: Count
    base: Positive = 10000.0


Position = Annotated[Alibi | PartialRotary, Field(discriminator="kind")]


class MuP(Spec):
    """Maximal update parametrization: settings of a narrow model carry over (Yang et al. 2022, Tensor Programs V).

    Logits are multiplied by `output` * base_width / width, attention scores by 1 / head width, the learning rate of
    matrices inside blocks by base_width / width, and their initial spread by sqrt(base_width / width).
    """

    base_width: Count = 256
    embedding: Positive = 14.6
    """What token embeddings are multiplied by."""
    output: Positive = 2.22


class AlibiGpt(Spec):
    """A decoder with LayerNorm, biases, SwiGLU and muP, input and output embeddings one matrix.

    The SlimPajama-DC 1.3B with ALiBi (Shen et al. 2023; Cerebras' BTLM), Crystal-7B with partial rotary positions.
    """

    kind: Literal["alibi_gpt"]
    vocabulary: Count
    layers: Count
    width: Count
    heads: Count
    mlp: Count
    context: Count
    norm_eps: Positive = 1e-5
    position: Position
    mup: MuP = MuP()
    linear: Linear = Field(default=Dense(), json_schema_extra={NEUTRAL: DENSE})
    init: NormalInit = NormalInit(std=0.073)
    """`std` is that of the embedding, and of matrices at the base width."""


class MambaInit(Spec):
    """As the paper's code draws them: uniform in +-1/sqrt(inputs) for matrices and the convolution, see Mamba2."""

    kind: Literal["mamba"] = "mamba"
    embedding_std: Positive = 0.02
    a: tuple[Positive, Positive] = (1.0, 16.0)
    """-A of each head is uniform in this interval."""
    dt: tuple[Positive, Positive] = (1e-3, 1e-1)
    """softplus(dt_bias) of each head is log-uniform in this interval."""
    dt_floor: Positive = 1e-4
    residual: Literal["scaled", "plain"] = "scaled"
    """Whether the projection that writes into the residual stream is divided by sqrt(layers)."""


class Mamba2(Spec):
    """A stack of Mamba-2 blocks without feed-forward blocks (Dao and Gu 2024), RMSNorm, fp32 residual stream.

    The input projection gives z, x, B, C, dt in this order; the gate comes before the norm: norm(y * silu(z)).
    """

    kind: Literal["mamba2"]
    vocabulary: Count
    layers: Count
    width: Count
    state: Count = 128
    """N: numbers that each channel of a head remembers."""
    conv: Count = 4
    """Positions that the causal convolution sees."""
    expand: Count = 2
    """Inner width over width."""
    head_width: Count = 64
    groups: Count = 1
    """Groups of heads that share B and C."""
    context: Count
    norm_eps: Positive = 1e-5
    dt_limit: tuple[NonNegative, Positive] | None = None
    """dt is clamped to this interval after softplus."""
    tied: bool
    linear: Linear = Field(default=Dense(), json_schema_extra={NEUTRAL: DENSE})
    init: MambaInit = MambaInit()


Model = Annotated[Llama | AlibiGpt | Mamba2, Field(discriminator="kind")]
"""Every family."""
