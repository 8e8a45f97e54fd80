"""The unigram baseline: how often each id stands in the training rows, with add-one smoothing."""

import math

import numpy as np

BLOCK_TOKENS = 1 << 20  # ids in memory at once, 8 bytes of weight each


def unigram_nll(ids: np.ndarray, order: np.ndarray, vocabulary: int) -> np.ndarray:
    """-log p of every id in nats, fp64 [vocabulary]: p = (count + 1) / (all + vocabulary).

    ids [base rows, row_tokens]; order [positions] names the base row at each position of the training order, so a
    row counts as often as it is trained on.
    """
    counts = occurrences(ids, order, vocabulary)
    total = int(counts.sum()) + vocabulary
    return np.array([math.log(total) - math.log(count + 1) for count in counts.tolist()])


def occurrences(ids: np.ndarray, order: np.ndarray, vocabulary: int) -> np.ndarray:
    """How often each id stands in the training order, int64 [vocabulary]."""
    times = np.bincount(order, minlength=len(ids))
    counts = np.zeros(vocabulary)  # fp64 holds integers exactly up to 2^53
    rows = max(1, BLOCK_TOKENS // ids.shape[1])
    for begin in range(0, len(ids), rows):
        block = ids[begin : begin + rows]
        weights = np.repeat(times[begin : begin + rows], block.shape[1])
        counts += np.bincount(block.ravel(), weights=weights, minlength=vocabulary)
    return counts.astype(np.int64)
