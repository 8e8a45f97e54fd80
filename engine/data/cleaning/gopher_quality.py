"""The document-wise quality rules of Gopher (Rae et al. 2021, appendix A.1.1).

The paper leaves open what a word and a line are. Here a word is a run of characters without white space, a line is one
that is not blank, and all lengths are in Unicode characters.
"""

from collections.abc import Iterator
from string import punctuation

from engine.data.cleaning.spec import GopherQuality
from engine.data.documents import Document, Drop

STOP_WORDS = frozenset({"the", "be", "to", "of", "and", "that", "have", "with"})
ELLIPSES = ("...", "\u2026")
BULLETS = ("-", "*", "\u2022", "\u2023", "\u25e6", "\u25aa", "\u25cf", "\u2043")  # assumed: the paper names none

Measures = Iterator[tuple[str, float, float, float]]


def gopher_quality(documents: Iterator[Document], rules: GopherQuality, drop: Drop) -> Iterator[Document]:
    """Drops `gopher_quality.<rule>`, the first rule in the order of the spec that a document breaks."""
    for document in documents:
        broken = next((rule for rule in _measures(document.text, rules) if not rule[2] <= rule[1] <= rule[3]), None)
        if broken:
            drop(document, f"gopher_quality.{broken[0]}", measured=broken[1])
        else:
            yield document


def _measures(text: str, rules: GopherQuality) -> Measures:
    """(rule, what was measured, least, most)."""
    words = text.split()
    yield "words", len(words), *rules.words
    count = max(len(words), 1)
    yield "mean_word_chars", sum(map(len, words)) / count, *rules.mean_word_chars
    yield "most_symbols_per_word", max(text.count("#"), _ellipses(text)) / count, 0, rules.most_symbols_per_word
    yield from _of_lines(text, rules)
    alphabetic = sum(any(map(str.isalpha, word)) for word in words)
    yield "least_alphabetic_words", alphabetic / count, rules.least_alphabetic_words, 1
    found = STOP_WORDS.intersection(word.strip(punctuation) for word in text.lower().split())
    yield "least_stop_words", len(found), rules.least_stop_words, len(STOP_WORDS)


def _of_lines(text: str, rules: GopherQuality) -> Measures:
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    count = max(len(lines), 1)
    yield "most_bullet_lines", sum(line.startswith(BULLETS) for line in lines) / count, 0, rules.most_bullet_lines
    yield "most_ellipsis_lines", sum(line.endswith(ELLIPSES) for line in lines) / count, 0, rules.most_ellipsis_lines


def _ellipses(text: str) -> int:
    return sum(text.count(ellipsis) for ellipsis in ELLIPSES)
