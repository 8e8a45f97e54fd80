"""Batches by position: step s of a run reads positions (s - 1) * rows up to s * rows of the training order.

The order of the rows is that of their chunks, which a run may read in another order and move to its end.
"""

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.artifacts.read import read_array
from engine.spec.errors import ArtifactError
from engine.train.spec import Reading, TrainPlan

Ids = npt.NDArray[np.int64]
Positions = npt.NDArray[np.int64]


class Rows:
    """The packed rows of a `pack` stage, memory-mapped; a batch depends on nothing but its step."""

    def __init__(self, folder: Path, stage: TrainPlan, deferred: tuple[int, ...] = ()) -> None:
        self._ids = read_array(folder, "ids")
        self._order = read_array(folder, "order")
        self._batch_rows = stage.batch.rows
        self._bounds = read_array(folder, "chunks")
        self.chunks = chunk_order(len(self._bounds) - 1, stage.reading, deferred)
        self._begins = np.cumsum([0, *(self._bounds[c + 1] - self._bounds[c] for c in self.chunks)])

    def positions(self, step: int) -> Positions:
        """Where the rows of a step (from 1) stand in the order that they were packed in."""
        begin = (step - 1) * self._batch_rows
        asked = np.arange(begin, min(begin + self._batch_rows, len(self._order)))
        which = np.searchsorted(self._begins, asked, side="right") - 1
        firsts = np.array([self._bounds[chunk] for chunk in self.chunks], np.int64)
        found: Positions = firsts[which] + asked - self._begins[which]
        return found

    def places(self, positions: Positions) -> Positions:
        """How many rows are read before those at some positions of the order that they were packed in."""
        chunks = np.searchsorted(self._bounds, positions, side="right") - 1
        turn = np.argsort(np.array(self.chunks))
        found: Positions = self._begins[turn[chunks]] + positions - self._bounds[chunks]
        return found

    def batch(self, step: int) -> Ids:
        """ids_BT of a step (from 1)."""
        ids_BT: Ids = self._ids[self._order[self.positions(step)]].astype(np.int64)
        return ids_BT

    def chunk_of(self, step: int) -> tuple[int, int]:
        """The chunk that a step begins to read in, and the last step before the one that begins it."""
        at = int(np.searchsorted(self._begins, (step - 1) * self._batch_rows, side="right")) - 1
        return self.chunks[at], int(self._begins[at]) // self._batch_rows


def chunk_order(chunks: int, reading: Reading | None, deferred: tuple[int, ...] = ()) -> tuple[int, ...]:
    """The numbers of all chunks in the order in which they are read; the deferred ones come last."""
    reading = reading or Reading()
    first = [chunk for low, high in reading.first for chunk in range(low, high + 1)]
    last = [*(chunk for chunk in reading.last if chunk not in deferred), *deferred]
    order = [*first, *(chunk for chunk in range(chunks) if chunk not in set(first))]
    return (*(chunk for chunk in order if chunk not in set(last)), *last)


def batch_digest(ids_BT: Ids) -> str:
    """sha256 of a batch's ids as little-endian uint32, row after row."""
    return hashlib.sha256(np.ascontiguousarray(ids_BT, dtype="<u4").tobytes()).hexdigest()


def enough_rows(stage: TrainPlan, folder: Path) -> None:
    """ArtifactError when the rows are too few, not of the width that the plan says, or of chunks that do not fit."""
    ids, order = read_array(folder, "ids"), read_array(folder, "order")
    needed = stage.steps * stage.batch.rows
    if len(order) < needed:
        raise ArtifactError(
            f"{folder} has {len(order):,} rows in its training order, but {stage.steps:,} steps of {stage.batch.rows} "
            f"rows need {needed:,}; train for at most {len(order) // stage.batch.rows:,} steps, or pack more"
        )
    if ids.shape[1:] != (stage.row_tokens,):
        raise ArtifactError(f"{folder} has rows of shape {ids.shape[1:]}, the plan says {stage.row_tokens} tokens")
    _check_chunks(stage, folder)


def _check_chunks(stage: TrainPlan, folder: Path) -> None:
    bounds = read_array(folder, "chunks")
    if stage.reading is not None:
        order = chunk_order(len(bounds) - 1, stage.reading)
        if sorted(order) != list(range(len(bounds) - 1)):
            raise ArtifactError(
                f"{folder} has chunks 0 to {len(bounds) - 2}; `reading` names others, or one of them twice"
            )
    moves = stage.reading is not None or stage.spikes is not None
    uneven = np.flatnonzero(bounds % stage.batch.rows if moves else np.zeros(0))
    if len(uneven) and int(uneven[0]) < len(bounds) - 1:
        raise ArtifactError(
            f"{folder}: chunk {int(uneven[0])} begins at row {int(bounds[uneven[0]])}, within a batch of "
            f"{stage.batch.rows}; chunks that are moved must begin with a step: pack chunks of whole batches"
        )
