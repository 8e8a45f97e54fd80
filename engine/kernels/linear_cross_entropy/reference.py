"""All logits at once, then torch's log-softmax in fp32."""

# N positions, D width, V vocabulary

import torch.nn.functional as F
from torch import Tensor

from engine.kernels.record import ran

NOTHING_IGNORED = -(2**62)
"""torch skips targets of one value; no id is this one."""


def linear_cross_entropy(x_ND: Tensor, head_VD: Tensor, targets_N: Tensor, scale: float) -> Tensor:
    """Returns a scalar in fp32."""
    ran("linear_cross_entropy", "reference")
    logits_NV = F.linear(x_ND, head_VD).float()
    return F.cross_entropy(logits_NV if scale == 1.0 else logits_NV * scale, targets_N, ignore_index=NOTHING_IGNORED)
