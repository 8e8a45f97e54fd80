"""One AdamW update of one tensor, in place."""

from typing import assert_never

from torch import Tensor

from engine.kernels.adamw import reference
from engine.kernels.adamw.check import check
from engine.kernels.adamw.native import kernel as native
from engine.kernels.adamw.reference import Update
from engine.kernels.spec import AdamWBackend


def adamw(
    p: Tensor, gradient: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor, by: Update, *, backend: AdamWBackend
) -> None:
    """Moves p and both moments by one step; all four tensors have one shape, or it is an ArtifactError."""
    check(p, gradient, exp_avg, exp_avg_sq)
    match backend:
        case "reference":
            reference.adamw(p, gradient, exp_avg, exp_avg_sq, by)
        case "native":
            native.adamw(p, gradient, exp_avg, exp_avg_sq, by)
        case _:
            assert_never(backend)
