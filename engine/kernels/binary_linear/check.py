"""What arguments a 1-bit matrix takes."""

# I inputs, O outputs, S entries of a scale: I, O or 1

from torch import Tensor

from engine.kernels.spec import ScaleAxis
from engine.spec.errors import ArtifactError

WHERE = "kernels.binary_linear"


def check(x: Tensor, outputs: int, inputs: int, alpha_S: Tensor, beta_S: Tensor, scale: ScaleAxis) -> None:
    """ArtifactError unless x is [..., I] and alpha and beta have the entries of their axis: I, O or 1."""
    if x.ndim == 0 or x.shape[-1] != inputs:
        raise ArtifactError(f"{WHERE}: a matrix of {inputs} inputs got activations of shape {[*x.shape]}")
    entries = {"input": inputs, "output": outputs, "tensor": 1}[scale]
    for name, value in (("alpha", alpha_S), ("beta", beta_S)):
        if value.shape != (entries,):
            raise ArtifactError(f"{WHERE}: {name} of the {scale} axis has shape [{entries}], not {[*value.shape]}")
