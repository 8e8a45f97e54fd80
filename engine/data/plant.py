"""Duplicates planted on purpose: copies of real documents, exact or with words left out, in the same domain or another.

A control whose truth is known: what a deduplication step finds is held against what was planted.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256

import pyarrow as pa
from pydantic import JsonValue

from engine.artifacts.draft import Draft
from engine.artifacts.read import Input
from engine.data.documents import Batches, Document, DocumentTable, document_id, watched_documents
from engine.data.spec import Copies, Plant
from engine.spec.canonical import canonical
from engine.spec.errors import ArtifactError
from engine.spec.philox import Stream, generator

PLANTED = pa.schema([pa.field(name, pa.string(), nullable=False) for name in ("id", "copy_of", "domain", "into")])
_WORDS = re.compile(r"\S+\s*")


def plant(stage: Plant, source: Input, out: Draft) -> dict[str, JsonValue]:
    """Writes and closes `documents` and `planted`; gives the counts. ArtifactError when copies find nothing to copy."""
    counts = [0] * len(stage.copies)
    with DocumentTable(out, "documents") as table, _truth(out) as rows:
        for document in watched_documents(source, "plant"):
            table.add(document)
            for number, copies in enumerate(stage.copies):
                if copies.of == document.domain and _is_copied(document, stage.seed, number, copies):
                    copy = _copy(document, stage.seed, number, copies)
                    table.add(copy)
                    rows.add((copy.id, document.id, copies.of, copies.into), 0)
                    counts[number] += 1
        _refuse_none(stage, counts, tuple(table.documents))
    return table.metrics() | {"planted": list(counts)}


@contextmanager
def _truth(out: Draft) -> Iterator[Batches]:
    """The output `planted`, open for rows; closed when the block ends well."""
    table = out.table("planted", PLANTED)
    rows = Batches(PLANTED, table.write)
    try:
        yield rows
    except BaseException:
        table.abort()
        raise
    rows.flush()
    table.close()
    out.close("planted")


def _refuse_none(stage: Plant, counts: list[int], domains: tuple[str, ...]) -> None:
    nothing = [f"copies.{number} of {c.of}" for number, c in enumerate(stage.copies) if not counts[number]]
    if nothing:
        raise ArtifactError(
            f"nothing was planted by {', '.join(nothing)}; the documents have {', '.join(sorted(domains))}: "
            "name one of these with documents enough, or raise `share`"
        )


def _is_copied(document: Document, seed: int, number: int, copies: Copies) -> bool:
    """Whether the first 64 bits of a hash of (seed, which copies, document), as a fraction, are below the share."""
    value = int.from_bytes(sha256(canonical([seed, number, document.id])).digest()[:8], "big")
    return value < copies.share * 2.0**64


def _copy(document: Document, seed: int, number: int, copies: Copies) -> Document:
    locator = f"{document.locator}#planted={number}"
    name = document_id(document.id, locator)
    text = _thinned(document.text, copies.words_left_out, generator(seed, "data", "plant", name))
    return replace(document, id=name, source=f"planted-{number}", domain=copies.into, locator=locator, text=text)


def _thinned(text: str, share: float, stream: Stream) -> str:
    """The text without about this share of its words and the white space after each; at least one word stays."""
    words = _WORDS.findall(text)
    stays = stream.uniform(len(words)) >= share
    if not stays.any():
        return text
    lead = text[: len(text) - sum(map(len, words))]
    return lead + "".join(word for word, kept in zip(words, stays, strict=True) if kept)
