"""Leaks by the sha256 of the text."""

from pathlib import Path
from typing import final

import numpy as np
from pydantic import JsonValue

from engine.data.documents import Document
from engine.data.leaks.leak import Leak
from engine.data.leaks.protected import Protected
from engine.data.leaks.sorted_rows import SortedRows

DIGEST_WORDS = 4


def index_texts(protected: Protected, folder: Path) -> dict[str, JsonValue]:
    """Writes the digests of all protected texts, each with its first document."""
    SortedRows([np.ascontiguousarray(column) for column in protected.texts[protected.first].T]).save(folder)
    protected.first.tofile(folder / "numbers")
    return {"texts": len(protected.first)}


@final
class SameTexts:
    """Finds documents whose text is a protected one."""

    def __init__(self, folder: Path) -> None:
        self._rows = SortedRows.open(folder, DIGEST_WORDS)
        self._numbers = np.memmap(folder / "numbers", np.int64, "r")

    def __call__(self, _document: Document, digest: bytes) -> Leak | None:
        place = self._rows.place(*(int.from_bytes(digest[begin : begin + 8], "big") for begin in range(0, 32, 8)))
        return None if place < 0 else Leak("leak_exact", int(self._numbers[place]), 1.0)
