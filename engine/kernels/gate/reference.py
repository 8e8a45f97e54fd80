"""silu(gate) * up by torch."""

import torch.nn.functional as F
from torch import Tensor


def gated(gate: Tensor, up: Tensor) -> Tensor:
    """silu(x) = x / (1 + exp(-x))."""
    return F.silu(gate) * up
