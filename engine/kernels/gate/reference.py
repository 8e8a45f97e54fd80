"""silu(gate) * up by torch."""

import torch.nn.functional as F
from torch import Tensor

from engine.kernels.record import ran


def gated(gate: Tensor, up: Tensor) -> Tensor:
    """silu(x) = x / (1 + exp(-x))."""
    ran("gate", "reference")
    return F.silu(gate) * up
