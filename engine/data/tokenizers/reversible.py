"""A tokenizer as data: the bytes of every id, and a library's way from text to ids. A text survives if its bytes do."""

from collections.abc import Callable, Sequence
from typing import final

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int32]
Ends = npt.NDArray[np.int64]


@final
class Irreversible(Exception):  # noqa: N818 a fact about a text, caught and counted
    """The ids of this text do not spell its UTF-8 bytes, so it cannot be traced."""


@final
class Tokenizer:
    """Text to ids and back. `pieces` are the bytes of each id, empty for an id that no text has."""

    def __init__(self, pieces: Sequence[bytes], end_id: int, split: Callable[[str], Ids], prefix: bytes = b"") -> None:
        self.vocabulary = len(pieces)
        self.end_id = end_id
        self.prefix = prefix  # what the library may set before a text without its being part of the text
        self._split = split
        self._pieces = np.array([*pieces, None], dtype=object)[:-1]  # objects: a fixed width would lose final NULs
        self._bytes = np.array([len(piece) for piece in pieces], dtype=np.int64)

    def encode(self, text: str) -> tuple[Ids, Ends]:
        """The ids, and for each the byte offset in the UTF-8 text where it ends. Irreversible if bytes would change."""
        try:
            data = text.encode()
        except UnicodeEncodeError as error:
            raise Irreversible(f"not Unicode text: {error}") from error
        ids = self._split(text)
        added = self._added(self.decode(ids), data)
        ends = np.cumsum(self._bytes[ids])
        return ids, np.maximum(ends - added, 0) if added else ends

    def decode(self, ids: npt.NDArray[np.integer]) -> bytes:
        """The bytes that ids spell; a character that is cut stays cut."""
        return b"".join(self._pieces[ids].tolist())

    def _added(self, spelt: bytes, data: bytes) -> int:
        """How many bytes of prefix the library set before the text."""
        if spelt == data:
            return 0
        if self.prefix and spelt == self.prefix + data:
            return len(self.prefix)
        raise Irreversible(f"{len(data)} bytes would become {len(spelt)} others")
