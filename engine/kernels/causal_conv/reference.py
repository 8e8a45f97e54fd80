"""The convolution by torch's conv1d, one group a channel."""

# B batch, T positions, C channels, K positions that an output sees

import torch.nn.functional as F
from torch import Tensor

from engine.kernels.record import ran


def causal_conv(x_BTC: Tensor, weight_C1K: Tensor, bias_C: Tensor) -> Tensor:
    """Returns y_BTC."""
    ran("causal_conv", "reference")
    channels, _, seen = weight_C1K.shape
    before_BCT = F.pad(x_BTC.transpose(1, 2), (seen - 1, 0))
    return F.silu(F.conv1d(before_BCT, weight_C1K, bias_C, groups=channels)).transpose(1, 2)
