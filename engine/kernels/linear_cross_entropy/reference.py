"""All logits at once, then torch's log-softmax in fp32."""

# N positions, D width, V vocabulary

import torch.nn.functional as F
from torch import Tensor


def linear_cross_entropy(x_ND: Tensor, head_VD: Tensor, targets_N: Tensor, scale: float) -> Tensor:
    """Returns a scalar in fp32."""
    logits_NV = F.linear(x_ND, head_VD).float()
    return F.cross_entropy(logits_NV if scale == 1.0 else logits_NV * scale, targets_N)
