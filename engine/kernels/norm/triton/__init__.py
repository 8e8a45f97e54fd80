"""RMSNorm and LayerNorm by our Triton kernels, on a GPU; under Triton's interpreter they run on a CPU, for tests."""

# B batch, T positions, D width

from torch import Tensor

from engine.kernels.extra import check_on_gpu, needs
from engine.spec.errors import ArtifactError

BACKEND = "norm: triton"
WIDEST = 65536
"""A row is held whole by one program: the widest that Triton compiles well."""


def rms_norm(x_BTD: Tensor, weight_D: Tensor, eps: float) -> Tensor:
    """As norm/reference.py; gradients of x and weight."""
    _check(x_BTD)
    with needs("triton", "gpu", BACKEND):
        from engine.kernels.norm.triton import launch

    if not launch.interpreted():
        check_on_gpu(x_BTD, BACKEND)
    return launch.rms_norm(x_BTD, weight_D, eps)


def layer_norm(x_BTD: Tensor, weight_D: Tensor, bias_D: Tensor, eps: float) -> Tensor:
    """(x - mean) / sqrt(variance + eps) * weight + bias; gradients of x, weight and bias."""
    _check(x_BTD)
    with needs("triton", "gpu", BACKEND):
        from engine.kernels.norm.triton import launch

    if not launch.interpreted():
        check_on_gpu(x_BTD, BACKEND)
    return launch.layer_norm(x_BTD, weight_D, bias_D, eps)


def _check(x_BTD: Tensor) -> None:
    width = x_BTD.shape[-1]
    if not x_BTD.numel():
        raise ArtifactError(f"kernels.{BACKEND}: the batch is empty, of shape {tuple(x_BTD.shape)}")
    if width > WIDEST:
        raise ArtifactError(f"kernels.{BACKEND}: {width} channels; at most {WIDEST}, or declare `reference`")
