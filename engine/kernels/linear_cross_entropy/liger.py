"""Cross-entropy by liger-kernel's fused linear kernel, on a GPU."""

# N positions, D width, V vocabulary

import torch
from torch import Tensor

from engine.kernels.extra import check_on_gpu, needs
from engine.kernels.record import ran

BACKEND = "linear_cross_entropy: liger"


def linear_cross_entropy(x_ND: Tensor, head_VD: Tensor, targets_N: Tensor, scale: float) -> Tensor:
    """Returns a scalar in fp32. ArtifactError without the library or a GPU."""
    with needs("liger-kernel", "gpu", BACKEND):
        import liger_kernel.ops  # noqa: F401
    check_on_gpu(x_ND, BACKEND)
    ran("linear_cross_entropy", "liger")
    return by_liger(x_ND, head_VD, targets_N, scale)


def by_liger(x_ND: Tensor, head_VD: Tensor, targets_N: Tensor, scale: float) -> Tensor:
    """The call itself, which Triton's interpreter can run on a CPU.

    The kernel knows no scale, so x carries it; the gradient of the head is added up in fp32. It makes no gradient at
    all for an x that wants none, so that x is made to want one where the head does.
    """
    from liger_kernel.ops import LigerFusedLinearCrossEntropyFunction

    if head_VD.requires_grad and not x_ND.requires_grad:
        x_ND = x_ND.detach().requires_grad_()
    scaled_ND = x_ND if scale == 1.0 else x_ND * scale
    nothing_ignored, no_z_loss, no_smoothing, no_cap = -(2**31), 0.0, 0.0, None
    loss: Tensor = LigerFusedLinearCrossEntropyFunction.apply(
        scaled_ND, head_VD, targets_N, None, None,
        nothing_ignored, no_z_loss, no_smoothing, "mean", no_cap, False, torch.float32,
    )[0]  # fmt: skip
    return loss.float()
