"""What a model takes: ids of its vocabulary, in a batch that is not empty, at positions that it has."""

# B batch, T positions

import torch
from torch import Tensor

from engine.spec.errors import ArtifactError

AXES = {1: "[B]", 2: "[B, T]"}


def check_ids(ids: Tensor, axes: int, vocabulary: int, context: int | None) -> None:
    """ArtifactError unless ids are integers from 0 to below `vocabulary` of [B] or [B, T], T at most `context`."""
    if ids.ndim != axes or ids.dtype not in (torch.int64, torch.int32):
        raise ArtifactError(f"a model takes ids {AXES[axes]} in int64 or int32, not {ids.dtype} {tuple(ids.shape)}")
    if not ids.numel():
        raise ArtifactError(f"the batch of ids is empty, of shape {tuple(ids.shape)}; give it a row and a position")
    if context is not None and ids.shape[-1] > context:
        raise _too_long(ids.shape[-1], context)
    if not torch.compiler.is_compiling():  # in a compiled graph, the look-up of the embedding checks its bounds
        low, high = ids.aminmax()
        if int(low) < 0 or int(high) >= vocabulary:
            raise ArtifactError(
                f"ids run from {int(low)} to {int(high)}, and the model knows 0 to {vocabulary - 1}; "
                "were they made by another tokenizer?"
            )


def check_begin(rows: int, positions: int, context: int | None) -> None:
    """ArtifactError unless a decode state has a row, a position, and no more positions than the model."""
    if rows < 1 or positions < 1:
        raise ArtifactError(f"a decode state of {rows} rows and {positions} positions; it has at least one of each")
    if context is not None and positions > context:
        raise _too_long(positions, context)


def check_room(rows: int, rows_kept: int, position: int, positions: int) -> None:
    """ArtifactError unless a step's ids have the rows of its state, which has a position left."""
    if rows != rows_kept:
        raise ArtifactError(f"a step of {rows} ids does not fit a decode state of {rows_kept} rows")
    if position >= positions:
        raise ArtifactError(f"the decode state has room for {positions} positions, and all are taken; begin with more")


def _too_long(positions: int, context: int) -> ArtifactError:
    return ArtifactError(
        f"{positions} positions do not fit a context of {context}; cut the text into windows, or train a model with a "
        "longer context"
    )
