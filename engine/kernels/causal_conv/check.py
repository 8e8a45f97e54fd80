"""What arguments the convolution takes."""

# B batch, T positions, C channels, K positions that an output sees

from torch import Tensor

from engine.spec.errors import ArtifactError


def check(x_BTC: Tensor, weight_C1K: Tensor, bias_C: Tensor) -> None:
    """ArtifactError unless x is [B, T, C], weight [C, 1, K] and bias [C], none of them empty."""
    shapes = f"x {tuple(x_BTC.shape)}, weight {tuple(weight_C1K.shape)}, bias {tuple(bias_C.shape)}"
    channels, seen = x_BTC.shape[-1] if x_BTC.ndim == 3 else 0, weight_C1K.shape[-1] if weight_C1K.ndim == 3 else 0
    if weight_C1K.shape != (channels, 1, seen) or bias_C.shape != (channels,):
        raise ArtifactError(f"kernels.causal_conv: {shapes} do not fit: [B, T, C], [C, 1, K] and [C] are wanted")
    if 0 in (*x_BTC.shape, seen):
        raise ArtifactError(f"kernels.causal_conv: {shapes}: an axis is empty; give it at least one row and position")
