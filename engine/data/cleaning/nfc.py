"""Unicode normal form C, and newlines alone as line ends."""

import unicodedata
from collections.abc import Iterator
from dataclasses import replace

from engine.data.documents import Document, Drop


def normalize_nfc(documents: Iterator[Document], drop: Drop) -> Iterator[Document]:
    """Drops `nul`; no lone surrogate ever reaches a table."""
    for document in documents:
        if "\0" in document.text:
            drop(document, "nul")
            continue
        text = unicodedata.normalize("NFC", document.text.replace("\r\n", "\n").replace("\r", "\n"))
        yield replace(document, text=text)
