"""The unigram baseline counts ids as often as they are trained on."""

import math

import numpy as np
import pytest

from engine.evaluate import unigram
from engine.evaluate.unigram import occurrences, unigram_nll

IDS = np.array([[0, 1, 1], [2, 2, 2], [3, 0, 0]], dtype=np.uint16)


def test_a_row_counts_as_often_as_it_stands_in_the_order() -> None:
    assert occurrences(IDS, np.array([0, 1, 1, 0, 0]), 5).tolist() == [3, 6, 6, 0, 0]


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    order = np.array([2, 0, 1, 2])
    whole = occurrences(IDS, order, 4)
    monkeypatch.setattr(unigram, "BLOCK_TOKENS", 1)
    assert np.array_equal(occurrences(IDS, order, 4), whole)


def test_probabilities_are_smoothed_by_one_and_add_up() -> None:
    nll = unigram_nll(IDS, np.array([0, 1]), 5)
    assert nll[1] == pytest.approx(-math.log(3 / 11))
    assert nll[4] == pytest.approx(-math.log(1 / 11))
    assert math.fsum(math.exp(-cost) for cost in nll) == pytest.approx(1)
