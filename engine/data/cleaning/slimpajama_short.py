"""Documents out that are short after SlimPajama's cleaning (facts: the published pipeline); texts stay as they are."""

from collections.abc import Iterator

from engine.data.documents import Document, Drop
from engine.data.slimpajama_text import slimpajama_text


def slimpajama_short(documents: Iterator[Document], chars: int, drop: Drop) -> Iterator[Document]:
    """Drops `slimpajama_short`: fewer characters than that after cleaning, single spaces counted."""
    for document in documents:
        found = len(slimpajama_text(document.text))
        if found < chars:
            drop(document, "slimpajama_short", measured=found)
        else:
            yield document
