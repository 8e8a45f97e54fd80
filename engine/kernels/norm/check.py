"""What arguments a norm takes."""

# D width

from torch import Tensor

from engine.spec.errors import ArtifactError


def check(x_BTD: Tensor, *parameters_D: Tensor) -> None:
    """ArtifactError unless x has an axis to normalise and weight (and bias) are vectors of its channels."""
    width = x_BTD.shape[-1] if x_BTD.ndim else 0
    if not width or any(parameter.shape != (width,) for parameter in parameters_D):
        shapes = [tuple(parameter.shape) for parameter in parameters_D]
        raise ArtifactError(
            f"kernels.norm: the last axis of {tuple(x_BTD.shape)} has {width} channels, but parameters are {shapes};"
            " weight and bias have one entry a channel"
        )
