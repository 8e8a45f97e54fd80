"""RMSNorm written out, in fp32 whatever comes in."""

# B batch, T positions, D width

import torch
from torch import Tensor


def rms_norm(x_BTD: Tensor, weight_D: Tensor, eps: float) -> Tensor:
    """Returns y_BTD in the dtype of x; the weight multiplies after rounding back, as the LLaMA models do it."""
    wide_BTD = x_BTD.float()
    scale_BT1 = torch.rsqrt(wide_BTD.square().mean(dim=-1, keepdim=True) + eps)
    return weight_D * (wide_BTD * scale_BT1).to(x_BTD.dtype)
