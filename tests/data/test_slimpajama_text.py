"""SlimPajama's text: the fast form is the plain one, character by character."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.slimpajama_text import slimpajama_text

ALL_ASCII = "".join(map(chr, range(128)))
SPACES = "".join(chr(code) for code in range(0x110000) if chr(code).isspace())


def plain(text: str) -> str:
    """The published steps one after the other."""
    text = text.lower().translate(str.maketrans("", "", string.punctuation))
    return re.sub(r"\s+", " ", text).strip()


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("", ""),
        (" \t\n", ""),
        ("It's -- a  TEST!\r\n\tYes.", "its a test yes"),
        ("a - b", "a b"),
        ("\u00c9t\u00e9\u00a0\u2014 STRA\u00dfe\u3000\u4e2d\u3002", "\u00e9t\u00e9 \u2014 stra\u00dfe \u4e2d\u3002"),
        ("\u039f\u0394\u039f\u03a3, \u0130", "\u03bf\u03b4\u03bf\u03c2 i\u0307"),
        ("(x" + " " * 1000 + "y)", "x y"),
    ],
)
def test_known_texts(text: str, cleaned: str) -> None:
    assert slimpajama_text(text) == plain(text) == cleaned


def test_every_ascii_character_and_every_space_is_treated_as_the_published_steps_do() -> None:
    for text in (ALL_ASCII, SPACES, "a".join(ALL_ASCII), "a".join(SPACES), "a".join(SPACES + ALL_ASCII)):
        assert slimpajama_text(text) == plain(text)


@given(st.text(st.sampled_from(ALL_ASCII + "\u03a3\u0130\u212a\u00a0\u2028\u4e2d\U0001f600\ud800")))
def test_the_fast_form_is_the_plain_one(text: str) -> None:
    assert slimpajama_text(text) == plain(text)
