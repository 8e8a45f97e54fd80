"""What arguments a cross-entropy takes."""

# N positions, D width, V vocabulary

import torch
from torch import Tensor

from engine.spec.errors import ArtifactError

WHERE = "kernels.linear_cross_entropy"


def check(x_ND: Tensor, head_VD: Tensor, targets_N: Tensor) -> None:
    """ArtifactError unless x is [N, D], head [V, D] and targets [N] of ids below V, with N at least 1."""
    shapes = f"x {tuple(x_ND.shape)}, head {tuple(head_VD.shape)}, targets {tuple(targets_N.shape)}"
    if x_ND.ndim != 2 or head_VD.ndim != 2 or targets_N.ndim != 1:
        raise ArtifactError(f"{WHERE}: {shapes}, where [N, D], [V, D] and [N] are wanted")
    if x_ND.shape[1] != head_VD.shape[1] or len(x_ND) != len(targets_N):
        raise ArtifactError(f"{WHERE}: {shapes} do not fit: x is [N, D], head [V, D], targets [N]")
    if not len(x_ND):
        raise ArtifactError(f"{WHERE}: the batch is empty, and has no mean; give it at least one position")
    if targets_N.dtype != torch.int64:
        raise ArtifactError(f"{WHERE}: targets are ids in int64, not {targets_N.dtype}")
    if not torch.compiler.is_compiling():  # in a compiled graph, the look-up of the target checks its bounds
        _check_range(targets_N, len(head_VD))


def _check_range(targets_N: Tensor, vocabulary: int) -> None:
    low, high = (int(bound) for bound in targets_N.aminmax())
    if low < 0 or high >= vocabulary:
        wrong_N = (targets_N < 0) | (targets_N >= vocabulary)
        first = int(wrong_N.nonzero()[0])
        raise ArtifactError(
            f"{WHERE}: target {int(targets_N[first])} at position {first} is outside the vocabulary of {vocabulary} "
            f"({int(wrong_N.sum())} such); no target is ignored: leave its position out of the batch"
        )
