"""Documents to token ids in batches, by worker processes if there are any; results come in order and are the same."""

from collections.abc import Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.artifacts.placement import Placement
from engine.data.documents import Document
from engine.data.pool import in_order
from engine.data.tokenizer import Irreversible, Tokenizer, load_tokenizer

BATCH_CHARS = 1 << 18  # text handed to a worker at a time

Batch = list[Document]


class Encoded(NamedTuple):
    """Documents one after the other, each followed by the end id, whose byte end is that of the document."""

    ids: npt.NDArray[np.int32]  # [tokens]
    ends: npt.NDArray[np.int64]  # [tokens]
    tokens: npt.NDArray[np.int64]  # [documents], the end id counted; 0 for a text that does not survive


def encode(
    documents: Iterable[Document], model: Path, digest: str, placement: Placement
) -> Iterator[tuple[Batch, Encoded]]:
    """Batches of documents of one domain with their ids. `model` is a tokenizer's folder, `digest` its content.

    Memory is that of some batches for each worker, and of the largest document.
    """
    work = ((batch, [document.text for document in batch]) for batch in batches(documents))
    yield from in_order(partial(_encode, str(model), digest), work, placement)


def batches(documents: Iterable[Document]) -> Iterator[Batch]:
    """Neighbours of one domain, up to BATCH_CHARS; the cuts depend on the documents alone."""
    held: Batch = []
    chars = 0
    for document in documents:
        if held and (chars >= BATCH_CHARS or document.domain != held[0].domain):
            yield held
            held, chars = [], 0
        held.append(document)
        chars += len(document.text)
    if held:
        yield held


@cache
def _tokenizer(folder: str, digest: str) -> Tokenizer:  # noqa: ARG001 another content is another tokenizer
    return load_tokenizer(Path(folder))


def _encode(folder: str, digest: str, texts: list[str]) -> Encoded:
    tokenizer = _tokenizer(folder, digest)
    end = np.array([tokenizer.end_id], np.int32)
    ids: list[npt.NDArray[np.int32]] = []
    ends: list[npt.NDArray[np.int64]] = []
    tokens = np.zeros(len(texts), np.int64)
    for number, text in enumerate(texts):
        try:
            of_text, bytes_of_text = tokenizer.encode(text)
        except Irreversible:
            continue
        last = bytes_of_text[-1:] if len(bytes_of_text) else np.zeros(1, np.int64)
        ids += (of_text, end)
        ends += (bytes_of_text, last)
        tokens[number] = len(of_text) + 1
    return Encoded(np.concatenate([end[:0], *ids]), np.concatenate([tokens[:0], *ends]), tokens)
