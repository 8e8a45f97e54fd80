"""What arguments an AdamW update takes."""

from torch import Tensor

from engine.spec.errors import ArtifactError


def check(p: Tensor, gradient: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor) -> None:
    """ArtifactError unless the gradient and both moments have the shape of the parameter."""
    for name, tensor in (("gradient", gradient), ("exp_avg", exp_avg), ("exp_avg_sq", exp_avg_sq)):
        if tensor.shape != p.shape:
            raise ArtifactError(
                f"kernels.adamw: {name} has shape {tuple(tensor.shape)}, and its parameter {tuple(p.shape)}; an update "
                "has one number of each for every weight"
            )
