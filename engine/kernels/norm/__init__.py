"""RMSNorm: x / sqrt(mean(x^2) + eps) * weight."""

from typing import assert_never

from torch import Tensor

from engine.kernels.norm import reference
from engine.kernels.spec import NormBackend


def rms_norm(x_BTD: Tensor, weight_D: Tensor, eps: float, *, backend: NormBackend) -> Tensor:
    """Normalises the last axis (Zhang and Sennrich 2019)."""
    match backend:
        case "reference":
            return reference.rms_norm(x_BTD, weight_D, eps)
        case _:
            assert_never(backend)
