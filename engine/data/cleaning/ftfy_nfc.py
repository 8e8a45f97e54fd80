"""Text mended by ftfy: decoded again where it was decoded wrongly, then Unicode normal form C."""

from collections.abc import Iterator
from dataclasses import replace

from ftfy import TextFixerConfig, fix_text

from engine.data.documents import Document, Drop

_CONFIG = TextFixerConfig(normalization="NFC", explain=False)


def mend(documents: Iterator[Document], drop: Drop) -> Iterator[Document]:
    """Drops `nul` before ftfy would delete it: such a text is broken in ways that it does not mend."""
    for document in documents:
        if "\0" in document.text:
            drop(document, "nul")
        else:
            yield replace(document, text=fix_text(document.text, _CONFIG))
