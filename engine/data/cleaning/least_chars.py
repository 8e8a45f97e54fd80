"""Documents with too few characters out."""

from collections.abc import Iterator

from engine.data.documents import Document, Drop


def least_chars(documents: Iterator[Document], chars: int, drop: Drop) -> Iterator[Document]:
    """Drops `least_chars`: fewer characters than that, white space at both ends not counted."""
    for document in documents:
        found = len(document.text.strip())
        if found < chars:
            drop(document, "least_chars", measured=found)
        else:
            yield document
