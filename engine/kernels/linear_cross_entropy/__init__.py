"""Cross-entropy of the logits of a linear head against target ids, averaged over all targets."""

from typing import assert_never

from torch import Tensor

from engine.kernels.linear_cross_entropy import chunked, liger, reference
from engine.kernels.linear_cross_entropy.check import check
from engine.kernels.spec import ChunkedLoss, LigerLoss, LossBackend, ReferenceLoss


def linear_cross_entropy(
    x_ND: Tensor, head_VD: Tensor, targets_N: Tensor, scale: float, *, backend: LossBackend
) -> Tensor:
    """The mean of -log softmax(scale * x head^T)[target], in nats; a scalar in fp32.

    ArtifactError for an empty batch, shapes that do not fit and targets outside the vocabulary: none is ignored. A NaN
    in an activation that a target sees makes the loss NaN.
    """
    check(x_ND, head_VD, targets_N)
    match backend:
        case ReferenceLoss():
            return reference.linear_cross_entropy(x_ND, head_VD, targets_N, scale)
        case ChunkedLoss():
            loss: Tensor = chunked.linear_cross_entropy(x_ND, head_VD, targets_N, scale, backend.tokens)
            return loss
        case LigerLoss():
            return liger.linear_cross_entropy(x_ND, head_VD, targets_N, scale)
        case _:
            assert_never(backend)
