"""Gopher's rules: one text for each rule that it breaks, and the numbers that decide."""

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.clean import clean
from engine.data.cleaning.gopher_repetition import ngram_shares
from engine.data.cleaning.spec import CleanStep, GopherQuality, GopherRepetition
from engine.data.documents import Document
from tests.data.built import document

QUALITY = GopherQuality(kind="gopher_quality")
REPETITION = GopherRepetition(kind="gopher_repetition")
GOOD = " ".join(f"the word{n} and others{n}" for n in range(20))


def verdict(step: CleanStep, text: str) -> tuple[str, float | None]:
    """(reason, measured) of the drop, ("", None) for a text that stays."""
    found: list[tuple[str, float | None]] = []

    def drop(_: Document, reason: str, stands_for: str = "", measured: float | None = None) -> None:
        assert stands_for == ""
        found.append((reason, measured))

    kept = list(clean((step,), iter([document("web", 1, text)]), drop))
    assert len(kept) + len(found) == 1
    return found[0] if found else ("", None)


@pytest.mark.parametrize(
    ("text", "rule", "measured"),
    [
        (GOOD, "", None),
        ("", "words", 0),
        ("the and words " * 16, "words", 48),
        ("the of " + "a " * 58, "mean_word_chars", 63 / 60),
        ("the of " + "abcdefghijkl " * 58, "mean_word_chars", 701 / 60),
        (GOOD + " #" * 9, "most_symbols_per_word", 9 / 89),
        (GOOD + "..." * 5 + "\u2026" * 4, "most_symbols_per_word", 9 / 80),
        ("\n".join("- the word and other" for _ in range(20)), "most_bullet_lines", 1.0),
        (
            "\n".join(["the word and other words stand in this very long line here"] * 9 + ["and a line..."] * 4),
            "most_ellipsis_lines",
            4 / 13,
        ),
        ("the of " + "words 1234 5678 " * 30, "least_alphabetic_words", 32 / 92),
        (GOOD.replace("and", "und"), "least_stop_words", 1),
        (GOOD.replace("and", "AND,"), "", None),
    ],
)
def test_each_quality_rule_drops_its_text(text: str, rule: str, measured: float | None) -> None:
    assert verdict(QUALITY, text) == (f"gopher_quality.{rule}" if rule else "", measured)


def test_a_number_at_a_bound_of_the_spec_stays_within_it() -> None:
    words = " ".join(["the", "of", *[f"word{n:02}" for n in range(58)]])
    assert verdict(QUALITY, words + "######") == ("", None)  # 6 / 60 is 0.1
    assert verdict(QUALITY, words + "#######")[0] == "gopher_quality.most_symbols_per_word"
    assert verdict(QUALITY.replace(most_symbols_per_word=0.2), words + "#######") == ("", None)


LINES = [f"line{n:02} differ{n:02} from{n:02} others{n:02}" for n in range(20)]  # 31 characters, 28 of them in words


@pytest.mark.parametrize(
    ("text", "rule", "measured"),
    [
        ("\n".join(LINES), "", None),
        ("", "", None),
        ("\n".join(["short", *LINES[:2]] * 2), "duplicate_lines", 0.5),
        ("\n\n".join([*LINES[:9], "a\nb", "c\nd", "a\nb"]), "", None),
        ("\n\n".join(["a\nb", "b\nc", "c\nd", "a\nb", "b\nc"]), "duplicate_lines", 0.6),
        ("\n".join([*LINES[:4], "x" * 90, "x" * 90]), "duplicate_line_chars", 90 / (180 + 4 * 31)),
        ("\n".join([*LINES[:6], "repeated " * 12]), "top_ngram_chars.2", 96 / (96 + 6 * 28)),
    ],
)
def test_each_repetition_rule_drops_its_text(text: str, rule: str, measured: float | None) -> None:
    assert verdict(REPETITION, text) == (f"gopher_repetition.{rule}" if rule else "", measured)


def test_paragraphs_repeat_where_their_lines_may() -> None:
    lines = REPETITION.replace(duplicate_lines=1.0, duplicate_line_chars=1.0)
    text = "\n\n".join([*LINES[:2], *["a b\nc d"] * 3])
    assert verdict(lines, text) == ("gopher_repetition.duplicate_paragraphs", 0.4)
    long = lines.replace(duplicate_paragraphs=1.0, duplicate_paragraph_chars=0.1)
    assert verdict(long, text) == ("gopher_repetition.duplicate_paragraph_chars", 14 / (21 + 2 * 31))


def test_long_ngrams_count_where_they_stand_again() -> None:
    sentence = "five words stand here again"
    words = [f"filler{n:03}" for n in range(60)]
    text = " ".join([*words[:20], *sentence.split(), *words[20:40], *sentence.split(), *words[40:], *sentence.split()])
    tight = REPETITION.replace(duplicate_ngram_chars=(0.05, 1.0, 1.0, 1.0, 1.0, 1.0))
    assert verdict(tight, text) == ("gopher_repetition.duplicate_ngram_chars.5", 46 / (60 * 9 + 69))
    assert verdict(REPETITION, text) == ("", None)


@given(st.lists(st.sampled_from(["a", "bb", "ccc"]), max_size=40))
def test_shares_of_ngrams_are_those_of_a_plain_count(words: list[str]) -> None:
    found = dict(ngram_shares(words, 10))
    total = max(sum(map(len, words)), 1)
    for length in range(2, 11):
        places: dict[tuple[str, ...], list[int]] = {}
        for begin in range(len(words) - length + 1):
            places.setdefault(tuple(words[begin : begin + length]), []).append(begin)

        def chars(begins: list[int], length: int = length) -> int:
            return sum(len(words[at]) for at in {begin + step for begin in begins for step in range(length)})

        if length < 5:
            most = max(map(len, places.values()), default=0)
            expected = max((chars(p) for p in places.values() if len(p) == most), default=0) if most > 1 else 0
        else:
            expected = chars([begin for p in places.values() for begin in p[1:]])
        assert found.get(length, 0) == expected / total
    assert [length for length, _ in groupby(found)] == list(range(2, 2 + len(found)))


def test_the_thresholds_are_those_of_the_paper() -> None:
    assert REPETITION.top_ngram_chars == (0.20, 0.18, 0.16)
    assert REPETITION.duplicate_ngram_chars == (0.15, 0.14, 0.13, 0.12, 0.11, 0.10)
    assert QUALITY.words == (50, 100_000) and QUALITY.mean_word_chars == (3.0, 10.0)
