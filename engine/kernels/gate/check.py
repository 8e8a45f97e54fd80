"""What arguments a gate takes."""

from torch import Tensor

from engine.spec.errors import ArtifactError


def check(gate: Tensor, up: Tensor) -> None:
    """ArtifactError unless both have one shape and dtype."""
    if gate.shape != up.shape or gate.dtype != up.dtype:
        raise ArtifactError(
            f"kernels.gate: gate {gate.dtype} {tuple(gate.shape)} and up {up.dtype} {tuple(up.shape)} must have one "
            "dtype and shape"
        )
