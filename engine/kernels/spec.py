"""Which backend computes each op, with its block sizes; `reference` is the definition.

Nothing falls back in silence. Block sizes stand here because they group sums: another size gives other bits. Backends
behind an extra (`triton`, `liger`, `mamba_ssm`) need a GPU; one that is not there is an error that names the extra.
"""

from typing import Annotated, Literal

from pydantic import Field

from engine.spec.base import NEUTRAL, Spec
from engine.spec.canonical import plain
from engine.spec.units import Count

AttentionBackend = Literal["reference", "sdpa"]
NormBackend = Literal["reference", "native", "triton"]
RotaryBackend = Literal["reference", "native"]
GateBackend = Literal["reference", "native"]
ConvBackend = Literal["reference", "native"]
AdamWBackend = Literal["reference", "native"]
DecodeBackend = Literal["reference"]
Graph = Literal["eager", "inductor"]
Block = Literal[16, 32, 64, 128]

ScaleAxis = Literal["input", "output", "tensor"]
"""Whether the scales of a 1-bit matrix have one entry for each input, each output, or one in all."""
SignOfZero = Literal["minus_one", "plus_one", "zero"]
"""What an exact zero of a latent matrix counts as."""


class ReferenceLoss(Spec):
    """All logits at once, by torch's log-softmax in fp32."""

    kind: Literal["reference"] = "reference"


class ChunkedLoss(Spec):
    """Logits of `tokens` positions at a time; the gradient is computed in the forward pass."""

    kind: Literal["chunked"]
    tokens: Count = 128


class LigerLoss(Spec):
    """liger-kernel's fused kernel, on a GPU."""

    kind: Literal["liger"]


class LigerDistillation(Spec):
    """liger-kernel's fused divergence, on a GPU, and the teacher's entropy by `tokens` positions at a time."""

    kind: Literal["liger"]
    tokens: Count = Field(default=512, json_schema_extra={NEUTRAL: 512})


LossBackend = Annotated[ReferenceLoss | ChunkedLoss | LigerLoss, Field(discriminator="kind")]
DistillationBackend = Annotated[ReferenceLoss | ChunkedLoss | LigerDistillation, Field(discriminator="kind")]


class ReferenceBinary(Spec):
    """The dense weight alpha * sign(W) + beta is made, then multiplied."""

    kind: Literal["reference"] = "reference"


class BlockedBinary(Spec):
    """Signs of `rows` outputs at a time; alpha is folded into the activation, beta is one scalar a token."""

    kind: Literal["blocked"]
    rows: Count = 512


class PackedBinary(Spec):
    """One bit a weight, for inference only, in C++ for the instruction set of the spec's numerics."""

    kind: Literal["packed"]
    activations: Literal["fp32", "int8"] = "fp32"


class TritonBinary(Spec):
    """Our Triton kernel, on a GPU: blocks of `tokens` x `outputs`, `inputs` at a time; powers of two from 16 on.

    The backward pass takes the signs of `rows` outputs at a time.
    """

    kind: Literal["triton"]
    tokens: Block = Field(default=16, json_schema_extra={NEUTRAL: 16})
    outputs: Block = Field(default=64, json_schema_extra={NEUTRAL: 64})
    inputs: Block = Field(default=64, json_schema_extra={NEUTRAL: 64})
    rows: Count = Field(default=512, json_schema_extra={NEUTRAL: 512})


BinaryLinearBackend = Annotated[
    ReferenceBinary | BlockedBinary | PackedBinary | TritonBinary, Field(discriminator="kind")
]


class RecurrentScan(Spec):
    """The definition: one position after another."""

    kind: Literal["reference"]


class ChunkedScan(Spec):
    """Products inside chunks of `chunk` positions, a recurrence between them (Dao and Gu 2024, section 6)."""

    kind: Literal["chunked"] = "chunked"
    chunk: Count = 64


class NativeScan(Spec):
    """The chunked scan in C++, forward and backward, for the instruction set of the spec's numerics."""

    kind: Literal["native"]
    chunk: Count = 64


class MambaSsmScan(Spec):
    """mamba-ssm's fused kernels, on a GPU."""

    kind: Literal["mamba_ssm"]
    chunk: Count = 256


ScanBackend = Annotated[RecurrentScan | ChunkedScan | NativeScan | MambaSsmScan, Field(discriminator="kind")]


class Kernels(Spec):
    """A backend for every op of a model and its training step; an op that the model has not got is never run."""

    attention: AttentionBackend = "sdpa"
    norm: NormBackend = "reference"
    rotary: RotaryBackend = "reference"
    gate: GateBackend = Field(default="reference", json_schema_extra={NEUTRAL: "reference"})
    """silu(gate) * up."""
    linear_cross_entropy: LossBackend = ReferenceLoss()
    linear_distillation: DistillationBackend = Field(
        default=ReferenceLoss(), json_schema_extra={NEUTRAL: {"kind": "reference"}}
    )
    binary_linear: BinaryLinearBackend = Field(
        default=ReferenceBinary(), json_schema_extra={NEUTRAL: {"kind": "reference"}}
    )
    causal_conv: ConvBackend = Field(default="reference", json_schema_extra={NEUTRAL: "reference"})
    """Mamba-2's convolution over the last positions of each channel, with its SiLU."""
    ssd_scan: ScanBackend = Field(default=ChunkedScan(), json_schema_extra={NEUTRAL: {"kind": "chunked", "chunk": 64}})
    decode: DecodeBackend = Field(default="reference", json_schema_extra={NEUTRAL: "reference"})
    """One more position of attention, convolution or scan, from what is kept of those before it."""
    adamw: AdamWBackend = "reference"
    products: Literal["fp32", "bf16"] = Field(default="fp32", json_schema_extra={NEUTRAL: "fp32"})
    """Number format of matrix products; weights, sums, norms and losses stay fp32."""
    graph: Graph = Field(default="eager", json_schema_extra={NEUTRAL: "eager"})
    """`inductor` compiles the model and its loss with torch.compile."""

    def compiles(self) -> bool:
        """Whether C++ is compiled: by a native or packed backend, or for a graph."""
        kinds = [value["kind"] if isinstance(value, dict) else value for value in plain(self).values()]
        return not {"native", "packed", "inductor"}.isdisjoint(kinds)
