"""Rotary positions written out, with tables computed in fp64 and rounded once."""

# B batch, T positions, H heads, K head width, J = K / 2 pairs

import numpy as np
import torch
from torch import Tensor

from engine.kernels.record import ran


def angles(positions: int, head_width: int, base: float) -> tuple[Tensor, Tensor]:
    """cos_TJ and sin_TJ in fp32 of position * base^(-2j/K); the angle is rounded to fp32 first, as others do."""
    powers_J = np.arange(0, head_width, 2, dtype=np.float64) / head_width
    inverse_J = (1.0 / np.power(np.float64(base), powers_J)).astype(np.float32)
    angle_TJ = np.outer(np.arange(positions, dtype=np.float32), inverse_J).astype(np.float64)
    cos_TJ, sin_TJ = np.cos(angle_TJ), np.sin(angle_TJ)
    return torch.from_numpy(cos_TJ.astype(np.float32)), torch.from_numpy(sin_TJ.astype(np.float32))


def rotate(x_BHTK: Tensor, cos_TJ: Tensor, sin_TJ: Tensor) -> Tensor:
    """Returns y_BHTK."""
    ran("rotary", "reference")
    first_BHTJ, second_BHTJ = x_BHTK.chunk(2, dim=-1)
    return torch.cat((first_BHTJ * cos_TJ - second_BHTJ * sin_TJ, second_BHTJ * cos_TJ + first_BHTJ * sin_TJ), dim=-1)
