"""RMSNorm written out, and torch's LayerNorm; both in fp32 whatever comes in."""

# B batch, T positions, D width

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.kernels.record import ran


def rms_norm(x_BTD: Tensor, weight_D: Tensor, eps: float) -> Tensor:
    """Returns y_BTD in the dtype of x; the weight multiplies after rounding back, as the LLaMA models do it."""
    ran("norm", "reference")
    wide_BTD = x_BTD.float()
    scale_BT1 = torch.rsqrt(wide_BTD.square().mean(dim=-1, keepdim=True) + eps)
    return weight_D * (wide_BTD * scale_BT1).to(x_BTD.dtype)


def layer_norm(x_BTD: Tensor, weight_D: Tensor, bias_D: Tensor, eps: float) -> Tensor:
    """Returns y_BTD in the dtype of x."""
    ran("norm", "reference")
    return F.layer_norm(x_BTD.float(), weight_D.shape, weight_D, bias_D, eps).to(x_BTD.dtype)
