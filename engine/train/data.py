"""Batches by position: step s of a run reads positions (s - 1) * rows up to s * rows of the training order."""

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.artifacts.read import read_array
from engine.spec.errors import ArtifactError
from engine.train.spec import TrainPlan

Ids = npt.NDArray[np.int64]


class Rows:
    """The packed rows of a `pack` stage, memory-mapped; a batch depends on nothing but its step."""

    def __init__(self, folder: Path, batch_rows: int) -> None:
        self._ids = read_array(folder, "ids")
        self._order = read_array(folder, "order")
        self._batch_rows = batch_rows

    def batch(self, step: int) -> Ids:
        """ids_BT of a step (from 1)."""
        begin = (step - 1) * self._batch_rows
        ids_BT: Ids = self._ids[self._order[begin : begin + self._batch_rows]].astype(np.int64)
        return ids_BT


def batch_digest(ids_BT: Ids) -> str:
    """sha256 of a batch's ids as little-endian uint32, row after row."""
    return hashlib.sha256(np.ascontiguousarray(ids_BT, dtype="<u4").tobytes()).hexdigest()


def enough_rows(stage: TrainPlan, folder: Path) -> None:
    """ArtifactError when the rows are too few, or not of the width that the plan was lowered with."""
    ids, order = read_array(folder, "ids"), read_array(folder, "order")
    needed = stage.steps * stage.batch.rows
    if len(order) < needed:
        raise ArtifactError(
            f"{folder} has {len(order):,} rows in its training order, but {stage.steps:,} steps of {stage.batch.rows} "
            f"rows need {needed:,}; train for at most {len(order) // stage.batch.rows:,} steps, or pack more"
        )
    if ids.shape[1:] != (stage.row_tokens,):
        raise ArtifactError(f"{folder} has rows of shape {ids.shape[1:]}, the plan says {stage.row_tokens} tokens")
