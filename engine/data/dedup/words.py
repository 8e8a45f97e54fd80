"""Ids, digests and names of whole columns as numpy arrays; the words of a digest compare as its bytes do."""

from hashlib import sha256
from typing import final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.data.dedup.buckets import Words
from engine.spec.errors import ArtifactError

ID_DIGITS = 32
_DIGITS = b"0123456789abcdef"
_HEX = np.frombuffer(_DIGITS, np.uint8)
_VALUES = np.array([_DIGITS.find(byte) % 256 for byte in range(256)], np.uint8)  # 255: no digit


def id_words(ids: pa.StringArray, where: str) -> Words:
    """uint64 [rows, 2] of document ids. ArtifactError when one is not 32 hex digits; `where` names the table."""
    lengths, data = flat(ids)
    if (lengths == ID_DIGITS).all():
        digits = _VALUES[data].reshape(-1, ID_DIGITS)
        if not (digits == 255).any():
            return big_endian(digits[:, 0::2] * np.uint8(16) + digits[:, 1::2])
    wrong = next(name for name in ids.to_pylist() if len(name) != ID_DIGITS or set(name) - set("0123456789abcdef"))
    raise ArtifactError(f"{where}: document id {wrong!r} is not {ID_DIGITS} hex digits; build it again")


def id_texts(words: Words) -> pa.StringArray:
    """The document ids of uint64 [rows, 2]."""
    data = words.astype(">u8").view(np.uint8).reshape(-1, ID_DIGITS // 2)
    digits = np.stack([_HEX[data >> 4], _HEX[data & 15]], axis=2)
    ends = np.arange(0, ID_DIGITS * (len(words) + 1), ID_DIGITS, dtype=np.int32)
    return pa.StringArray.from_buffers(len(words), pa.py_buffer(ends), pa.py_buffer(digits.tobytes()))


def text_words(texts: pa.StringArray) -> Words:
    """uint64 [rows, 4] of the sha256 of each text."""
    lengths, data = flat(texts)
    view, ends = memoryview(data), np.cumsum(lengths).tolist()  # type: ignore[arg-type]
    spans = zip([0, *ends], ends, strict=False)
    whole = b"".join([sha256(view[begin:end]).digest() for begin, end in spans])
    return big_endian(np.frombuffer(whole, np.uint8).reshape(-1, 32))


def binary_words(values: pa.BinaryArray, words: int, where: str) -> Words:
    """uint64 [rows, words] of a binary column. ArtifactError when a value has another length."""
    lengths, data = flat(values)
    if (lengths != 8 * words).any():
        wrong = int(lengths[lengths != 8 * words][0])
        raise ArtifactError(f"{where}: a value of {wrong} bytes where {8 * words} are wanted; build it again")
    return big_endian(data.reshape(-1, 8 * words))


def flat(values: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """The number of bytes of each value of a string or binary array, and all bytes one after the other."""
    ends = np.frombuffer(values.buffers()[1], np.int32)[values.offset : values.offset + len(values) + 1]
    ends = ends.astype(np.int64) if len(values) else np.zeros(1, np.int64)
    held = values.buffers()[2]
    data = np.frombuffer(held, np.uint8) if held is not None and held.size else np.empty(0, np.uint8)
    return np.diff(ends), data[ends[0] : ends[-1]]


def big_endian(data: npt.NDArray[np.uint8]) -> Words:
    """Bytes [rows, 8 n] as words [rows, n] that compare as the bytes do."""
    return np.ascontiguousarray(data).view(">u8").astype(np.uint64)


@final
class Codes:
    """Names as small numbers, in the order in which they were first seen."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._codes: dict[str, int] = {}

    def of(self, column: pa.StringArray) -> npt.NDArray[np.int32]:
        """int32 [rows]."""
        encoded = column.dictionary_encode()
        known = np.array([self._code(name) for name in encoded.dictionary.to_pylist()], np.int32)
        return known[encoded.indices.to_numpy()] if len(column) else np.empty(0, np.int32)

    def _code(self, name: str) -> int:
        if name not in self._codes:
            self._codes[name] = len(self.names)
            self.names.append(name)
        return self._codes[name]
