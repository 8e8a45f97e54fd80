"""Held-out documents apart from the others, by a hash that knows neither order nor number of documents."""

from hashlib import sha256
from typing import assert_never

from engine.data.documents import Document
from engine.data.spec import Split
from engine.spec.canonical import canonical


def is_heldout(document: Document, stage: Split) -> bool:
    """Whether the first 64 bits of sha256 over canonical([seed, domain, key]), as a fraction, are below `heldout`.

    The key is the sha256 of the text, or the document's group, so that equal texts or a whole group fall together.
    """
    value = int.from_bytes(sha256(canonical([stage.seed, document.domain, _key(document, stage)])).digest()[:8], "big")
    return value < stage.heldout * 2.0**64  # exact: Python compares an integer with a float without rounding


def _key(document: Document, stage: Split) -> str:
    match stage.by:
        case "document":
            return sha256(document.text.encode("utf-8")).hexdigest()
        case "group":
            return document.group
        case _:
            assert_never(stage.by)
