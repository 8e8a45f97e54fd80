"""Products with one bit a weight by our Triton kernel, on a GPU; under Triton's interpreter on a CPU, for tests.

The forward pass packs the signs (packed/__init__.py) and unpacks them as it multiplies; the backward pass is that of
blocked.py, with `rows` outputs at a time.
"""

# T tokens, I inputs, O outputs, S entries of a scale: I, O or 1

from torch import Tensor

from engine.kernels.binary_linear.packed import pack
from engine.kernels.extra import check_on_gpu, needs
from engine.kernels.spec import ScaleAxis, SignOfZero, TritonBinary
from engine.spec.errors import ArtifactError

BACKEND = "binary_linear: triton"


def binary_linear(
    x: Tensor, weight_OI: Tensor, alpha_S: Tensor, beta_S: Tensor, scale: ScaleAxis, zero: SignOfZero,
    blocks: TritonBinary,
) -> Tensor:  # fmt: skip
    """Returns y of shape [..., O]; gradients of x, W, alpha and beta."""
    if not x.numel():
        raise ArtifactError(f"kernels.{BACKEND}: the batch is empty, of shape {tuple(x.shape)}")
    with needs("triton", "gpu", BACKEND):
        from engine.kernels.binary_linear.triton import launch

    if not launch.interpreted():
        check_on_gpu(x, BACKEND)
    return launch.binary_linear(x, weight_OI, pack(weight_OI, zero), alpha_S, beta_S, scale, zero, blocks)
