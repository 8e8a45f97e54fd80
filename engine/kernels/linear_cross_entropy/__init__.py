"""Cross-entropy of the logits of a linear head against target ids, averaged over all targets."""

from typing import assert_never

from torch import Tensor

from engine.kernels.linear_cross_entropy import reference
from engine.kernels.spec import ChunkedLoss, LigerLoss, LossBackend, ReferenceLoss


def linear_cross_entropy(
    x_ND: Tensor, head_VD: Tensor, targets_N: Tensor, scale: float, *, backend: LossBackend
) -> Tensor:
    """The mean of -log softmax(scale * x head^T)[target], in nats; a scalar in fp32."""
    match backend:
        case ReferenceLoss():
            return reference.linear_cross_entropy(x_ND, head_VD, targets_N, scale)
        case ChunkedLoss():
            raise NotImplementedError
        case LigerLoss():
            raise NotImplementedError
        case _:
            assert_never(backend)
