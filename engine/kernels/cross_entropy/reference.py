"""Cross-entropy by torch's log-softmax in fp32."""

# B batch, T positions, V vocabulary

import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits_BTV: Tensor, targets_BT: Tensor) -> Tensor:
    """Returns a scalar in fp32."""
    return F.cross_entropy(logits_BTV.flatten(0, 1).float(), targets_BT.flatten())
