"""A linear layer whose weight is alpha * sign(W) + beta (FBI-Linear, arXiv 2407.07093), with W latent and trained."""

# I inputs, O outputs, S entries of a scale: I, O or 1

from typing import assert_never

from torch import Tensor

from engine.kernels.binary_linear import blocked, packed, reference, triton
from engine.kernels.binary_linear.check import check
from engine.kernels.spec import (
    BinaryLinearBackend,
    BlockedBinary,
    PackedBinary,
    ReferenceBinary,
    ScaleAxis,
    SignOfZero,
    TritonBinary,
)


def binary_linear(
    x: Tensor,
    weight_OI: Tensor,
    alpha_S: Tensor,
    beta_S: Tensor,
    *,
    scale: ScaleAxis,
    zero: SignOfZero,
    backend: BinaryLinearBackend,
) -> Tensor:
    """[..., I] to [..., O]. Gradients reach W as if sign were the identity, and both scales as they are.

    `packed` has no gradients; it packs W once, and again when W has changed (packed/__init__.py says what it sees).
    ArtifactError for shapes that do not fit. A latent that is not finite has no sign: it makes the outputs that it
    reaches NaN, and cannot be packed.
    """
    outputs, inputs = weight_OI.shape
    check(x, outputs, inputs, alpha_S, beta_S, scale)
    match backend:
        case ReferenceBinary():
            return reference.binary_linear(x, weight_OI, alpha_S, beta_S, scale, zero)
        case BlockedBinary():
            return blocked.binary_linear(x, weight_OI, alpha_S, beta_S, scale, zero, backend.rows)
        case PackedBinary():
            return packed.binary_linear(x, weight_OI, alpha_S, beta_S, scale, zero, backend.activations)
        case TritonBinary():
            return triton.binary_linear(x, weight_OI, alpha_S, beta_S, scale, zero, backend)
        case _:
            assert_never(backend)
