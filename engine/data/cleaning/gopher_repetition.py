"""The repetition rules of Gopher (Rae et al. 2021, appendix A.1.1 and table A1).

What the paper leaves open is chosen so that a text that repeats nothing measures 0 and none measures more than 1. A
line or n-gram is repeated where it stands again, not where it first stands. Lines are stripped, blank ones left out;
paragraphs are parted by blank lines; words by white space. Shares of lines and paragraphs are of their number or of
their characters, those of n-grams are of the characters of all words, each character counted once.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from engine.data.cleaning.spec import GopherRepetition
from engine.data.documents import Document, Drop

Numbers = npt.NDArray[np.int64]
FIRST_TOP, FIRST_DUPLICATE = 2, 5  # lengths that the tuples of the spec begin with


def gopher_repetition(documents: Iterator[Document], rules: GopherRepetition, drop: Drop) -> Iterator[Document]:
    """Drops `gopher_repetition.<rule>`, the first rule in the order of the spec that a document breaks."""
    for document in documents:
        broken = next(((name, share) for name, share, most in _shares(document.text, rules) if share > most), None)
        if broken:
            drop(document, f"gopher_repetition.{broken[0]}", measured=broken[1])
        else:
            yield document


def _shares(text: str, rules: GopherRepetition) -> Iterator[tuple[str, float, float]]:
    """(rule, what was measured, most)."""
    lines = [line.strip() for line in text.split("\n")]
    line_share, line_chars = _repeated([line for line in lines if line])
    paragraph_share, paragraph_chars = _repeated(list(_paragraphs(lines)))
    yield "duplicate_lines", line_share, rules.duplicate_lines
    yield "duplicate_paragraphs", paragraph_share, rules.duplicate_paragraphs
    yield "duplicate_line_chars", line_chars, rules.duplicate_line_chars
    yield "duplicate_paragraph_chars", paragraph_chars, rules.duplicate_paragraph_chars
    words = text.split()
    for length, share in ngram_shares(words, FIRST_DUPLICATE - 1 + len(rules.duplicate_ngram_chars)):
        if length < FIRST_DUPLICATE:
            yield f"top_ngram_chars.{length}", share, rules.top_ngram_chars[length - FIRST_TOP]
        else:
            yield f"duplicate_ngram_chars.{length}", share, rules.duplicate_ngram_chars[length - FIRST_DUPLICATE]


def _paragraphs(lines: list[str]) -> Iterator[str]:
    held: list[str] = []
    for line in (*lines, ""):
        if line:
            held.append(line)
        elif held:
            yield "\n".join(held)
            held = []


def _repeated(pieces: list[str]) -> tuple[float, float]:
    """The share of pieces that stood before, by number and by characters."""
    once = set(pieces)
    chars = sum(map(len, pieces))
    return (len(pieces) - len(once)) / max(len(pieces), 1), (chars - sum(map(len, once))) / max(chars, 1)


def ngram_shares(words: list[str], most: int) -> Iterator[tuple[int, float]]:
    """(length, share): below FIRST_DUPLICATE of the top n-gram, from there of all n-grams that stand again."""
    chars = np.array([len(word) for word in words], np.int64)
    names: dict[str, int] = {}
    codes = np.array([names.setdefault(word, len(names)) for word in words], np.int64)
    grams = codes
    for length in range(FIRST_TOP, most + 1):
        first, grams, counts = _longer(grams, codes[length - 1 :], len(names))
        top = length < FIRST_DUPLICATE
        covered = _top(grams, counts, chars, length) if top else first[grams] < np.arange(len(grams))
        yield length, _chars_under(covered, chars, length) / max(int(chars.sum()), 1)
        if (counts < 2).all():
            return  # nothing stands twice, and nothing longer does


def _longer(grams: Numbers, codes: Numbers, words: int) -> tuple[Numbers, Numbers, Numbers]:
    """n-grams made one word longer: where each kind first stands, the kind at each place, and how many of each."""
    pairs = grams[: len(codes)] * max(words, 1) + codes  # below rows * words, which fits 63 bits
    _, first, kinds, counts = np.unique(pairs, return_index=True, return_inverse=True, return_counts=True)
    return first, kinds, counts


def _top(grams: Numbers, counts: Numbers, chars: Numbers, length: int) -> npt.NDArray[np.bool_]:
    """Where the most frequent n-gram stands that stands twice; of equally frequent ones the one that covers most."""
    most = int(counts.max(initial=0))
    if most < 2:
        return np.zeros(len(grams), bool)
    tops = np.flatnonzero(counts == most)
    where = [grams == top for top in tops.tolist()]
    return max(where, key=lambda place: _chars_under(place, chars, length))


def _chars_under(places: npt.NDArray[np.bool_], chars: Numbers, length: int) -> int:
    """The characters of all words that an n-gram at one of the places holds."""
    steps = np.zeros(len(chars) + 1, np.int64)
    begins = np.flatnonzero(places)
    np.add.at(steps, begins, 1)
    np.add.at(steps, begins + length, -1)
    return int(chars[np.cumsum(steps[:-1]) > 0].sum())
