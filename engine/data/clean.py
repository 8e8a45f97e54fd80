"""Documents through cleaning steps: each is a generator over documents, and each drop has a reason."""

from collections.abc import Iterator
from typing import assert_never

from engine.data.cleaning.spec import (
    CleanStep,
    Ftfy,
    GopherQuality,
    GopherRepetition,
    Language,
    LeastChars,
    NormalizeNfc,
    SlimPajamaShort,
)
from engine.data.documents import Document, Drop


def clean(steps: tuple[CleanStep, ...], documents: Iterator[Document], drop: Drop) -> Iterator[Document]:
    """The documents that every step lets through; the others are handed to `drop` with the reason."""
    for step in steps:
        documents = _through(documents, step, drop)
    return documents


def _through(documents: Iterator[Document], step: CleanStep, drop: Drop) -> Iterator[Document]:
    match step:
        case NormalizeNfc():
            from engine.data.cleaning.nfc import normalize_nfc

            return normalize_nfc(documents, drop)
        case LeastChars():
            from engine.data.cleaning.least_chars import least_chars

            return least_chars(documents, step.chars, drop)
        case Ftfy():
            from engine.data.cleaning.ftfy_nfc import mend  # wants the extra `data`, as py3langid below

            return mend(documents, drop)
        case SlimPajamaShort():
            from engine.data.cleaning.slimpajama_short import slimpajama_short

            return slimpajama_short(documents, step.chars, drop)
        case Language():
            from engine.data.cleaning.language import keep_languages

            return keep_languages(documents, step, drop)
        case GopherQuality():
            from engine.data.cleaning.gopher_quality import gopher_quality

            return gopher_quality(documents, step, drop)
        case GopherRepetition():
            from engine.data.cleaning.gopher_repetition import gopher_repetition

            return gopher_repetition(documents, step, drop)
        case _:
            assert_never(step)
