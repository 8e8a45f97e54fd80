"""RMSNorm: x / sqrt(mean(x^2) + eps) * weight. LayerNorm: the same of x - mean(x), plus a bias."""

from typing import assert_never

from torch import Tensor

from engine.kernels.norm import reference, triton
from engine.kernels.norm.check import check
from engine.kernels.norm.native import kernel as native
from engine.kernels.spec import NormBackend


def rms_norm(x_BTD: Tensor, weight_D: Tensor, eps: float, *, backend: NormBackend) -> Tensor:
    """Normalises the last axis (Zhang and Sennrich 2019). ArtifactError for a weight that does not fit."""
    check(x_BTD, weight_D)
    match backend:
        case "reference":
            return reference.rms_norm(x_BTD, weight_D, eps)
        case "native":
            return native.rms_norm(x_BTD, weight_D, eps)
        case "triton":
            return triton.rms_norm(x_BTD, weight_D, eps)
        case _:
            assert_never(backend)


def layer_norm(x_BTD: Tensor, weight_D: Tensor, bias_D: Tensor, eps: float, *, backend: NormBackend) -> Tensor:
    """Normalises the last axis (Ba et al. 2016). ArtifactError for a weight or bias that does not fit."""
    check(x_BTD, weight_D, bias_D)
    match backend:
        case "reference":
            return reference.layer_norm(x_BTD, weight_D, bias_D, eps)
        case "native":
            return native.layer_norm(x_BTD, weight_D, bias_D, eps)
        case "triton":
            return triton.layer_norm(x_BTD, weight_D, bias_D, eps)
        case _:
            assert_never(backend)
