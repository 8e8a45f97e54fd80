"""The vocabulary of cleaning: what a text is turned into, and what is dropped by which threshold."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engine.spec.base import Spec
from engine.spec.units import Count

Least = Annotated[float, Field(ge=0, le=1)]


class NormalizeNfc(Spec):
    """Unicode normal form C; line ends become a newline, NUL is a reason to drop."""

    kind: Literal["nfc"]


class LeastChars(Spec):
    """Drops a document with fewer characters, counted after white space at both ends is taken off."""

    kind: Literal["least_chars"]
    chars: Count


class Ftfy(Spec):
    """Broken encodings mended by `ftfy.fix_text` with Unicode normal form C: SlimPajama's first step. Drops `nul`."""

    libraries: ClassVar[tuple[str, ...]] = ("ftfy",)
    kind: Literal["ftfy"]


class SlimPajamaShort(Spec):
    """Drops a document with fewer characters after SlimPajama's cleaning, which only counts and changes nothing.

    Cleaning: lower case, ASCII punctuation deleted, runs of white space to one space, stripped; single spaces count.
    """

    kind: Literal["slimpajama_short"]
    chars: Count = 200


class Language(Spec):
    """Drops a document whose language, as py3langid tells it, is not in `keep`, or is less sure than `least`.

    The reason is `language.` with the language found, or `language.unsure`.
    """

    libraries: ClassVar[tuple[str, ...]] = ("py3langid", "numpy")
    kind: Literal["language"]
    keep: Annotated[tuple[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")], ...], Field(min_length=1)]
    least: Least = 0.65


class GopherQuality(Spec):
    """The document-wise quality rules of Gopher (Rae et al. 2021, appendix A.1.1); each drop says which rule."""

    kind: Literal["gopher_quality"]
    words: tuple[Count, Count] = (50, 100_000)
    mean_word_chars: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (3.0, 10.0)
    most_symbols_per_word: Least = 0.1
    """Of '#' and of ellipses, each."""
    most_bullet_lines: Least = 0.9
    most_ellipsis_lines: Least = 0.3
    least_alphabetic_words: Least = 0.8
    least_stop_words: Annotated[int, Field(ge=0)] = 2
    """How many of: the, be, to, of, and, that, have, with."""


class GopherRepetition(Spec):
    """The repetition rules of Gopher (table A1): most shares of repeated lines, paragraphs and n-grams."""

    kind: Literal["gopher_repetition"]
    duplicate_lines: Least = 0.30
    duplicate_paragraphs: Least = 0.30
    duplicate_line_chars: Least = 0.20
    duplicate_paragraph_chars: Least = 0.20
    top_ngram_chars: tuple[Least, Least, Least] = (0.20, 0.18, 0.16)
    """Of 2-, 3- and 4-grams."""
    duplicate_ngram_chars: tuple[Least, Least, Least, Least, Least, Least] = (0.15, 0.14, 0.13, 0.12, 0.11, 0.10)
    """Of 5- to 10-grams."""


CleanStep = Annotated[
    NormalizeNfc | LeastChars | Ftfy | SlimPajamaShort | Language | GopherQuality | GopherRepetition,
    Field(discriminator="kind"),
]
