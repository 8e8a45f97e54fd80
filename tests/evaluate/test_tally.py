"""Tallies by domain, and the perplexities that follow from them."""

import math

import pytest

from engine.evaluate.tally import Tallies
from engine.spec.canonical import canonical


def test_perplexities_by_token_word_and_byte() -> None:
    tallies = Tallies()
    tallies.add("wiki", "two words", 4, 8.0)
    scores = tallies.scores()["domains"]["wiki"]
    assert scores["token_perplexity"] == pytest.approx(math.exp(2))
    assert scores["word_perplexity"] == pytest.approx(math.exp(4))
    assert scores["bits_per_byte"] == pytest.approx(8 / math.log(2) / 9)


def test_bytes_are_those_of_utf8_and_words_those_between_white_space() -> None:
    tallies = Tallies()
    tallies.add("wiki", "\u00fc \n b", 3, 1.0)
    (words, count) = (tallies.scores()["all"][name] for name in ("words", "bytes"))
    assert (words, count) == (2, 6)


def test_all_is_the_sum_of_the_domains_and_skips_are_counted_apart() -> None:
    tallies = Tallies()
    tallies.add("b", "x", 2, 1.5)
    tallies.add("a", "y z", 3, 2.5)
    tallies.skip("b")
    scores = tallies.scores()
    assert scores["all"] | {"nll": 0} == scores["all"] | {"documents": 2, "skipped": 1, "tokens": 5, "nll": 0}
    assert scores["all"]["nll"] == 4.0
    assert scores["domains"]["b"]["skipped"] == 1


@pytest.mark.parametrize("text", ["", "a" * 3])
def test_what_cannot_be_said_in_fp64_is_null_and_the_scores_stay_plain_data(text: str) -> None:
    tallies = Tallies()
    tallies.add("d", text, 1, 1e6)
    scores = tallies.scores()
    assert scores["all"]["word_perplexity"] is None
    assert canonical(scores)
