"""Documents through cleaning steps: each is a generator over documents, and each drop has a reason."""

import unicodedata
from collections.abc import Iterator
from dataclasses import replace
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
            return normalize_nfc(documents, drop)
        case LeastChars():
            return least_chars(documents, step.chars, drop)
        case Ftfy() | SlimPajamaShort() | Language() | GopherQuality() | GopherRepetition():
            raise NotImplementedError
        case _:
            assert_never(step)


def normalize_nfc(documents: Iterator[Document], drop: Drop) -> Iterator[Document]:
    """Unicode normal form C and newlines alone as line ends. Drops `nul`; no lone surrogate ever reaches a table."""
    for document in documents:
        if "\0" in document.text:
            drop(document, "nul")
            continue
        text = unicodedata.normalize("NFC", document.text.replace("\r\n", "\n").replace("\r", "\n"))
        yield replace(document, text=text)


def least_chars(documents: Iterator[Document], chars: int, drop: Drop) -> Iterator[Document]:
    """Drops `least_chars`: fewer characters than that, white space at both ends not counted."""
    for document in documents:
        chars_found = len(document.text.strip())
        if chars_found < chars:
            drop(document, "least_chars", measured=chars_found)
        else:
            yield document
