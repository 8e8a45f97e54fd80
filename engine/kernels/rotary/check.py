"""What arguments a rotation takes."""

# B batch, T positions, H heads, K head width, J = K / 2 pairs

from torch import Tensor

from engine.spec.errors import ArtifactError


def check(x_BHTK: Tensor, cos_TJ: Tensor, sin_TJ: Tensor) -> None:
    """ArtifactError unless x is [B, H, T, K] with K even, and both tables are [T, K / 2]."""
    wanted = (x_BHTK.shape[2], x_BHTK.shape[3] // 2) if x_BHTK.ndim == 4 and x_BHTK.shape[3] % 2 == 0 else None
    if cos_TJ.shape != wanted or sin_TJ.shape != wanted:
        raise ArtifactError(
            f"kernels.rotary: heads {tuple(x_BHTK.shape)} and tables {tuple(cos_TJ.shape)} and {tuple(sin_TJ.shape)} do"
            " not fit: [B, H, T, K] with an even K want tables [T, K / 2]"
        )
