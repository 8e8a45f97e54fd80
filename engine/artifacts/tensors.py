"""Safetensors without metadata: the bytes of the format, written as a stream and read without trust.

A file is: header length (8 bytes, little-endian), header (JSON, sorted names, padded with spaces so that the data
begins at a multiple of 8), then the tensors in the order of their names, each little-endian in C order.
A tensor follows the one before without a gap, as the format demands. bfloat16 is left out: numpy has no such type.
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from engine.artifacts.digest import Hasher, bytes_of, little_endian, tensor_digest
from engine.artifacts.manifest import Tensor, TensorsPart
from engine.spec.canonical import canonical, digest
from engine.spec.errors import ArtifactError

DTYPES = {
    "bool": "BOOL",
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
    "uint8": "U8",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
}
_NUMPY = {code: np.dtype(name).newbyteorder("<") for name, code in DTYPES.items()}
_HEADER_BYTES = 100_000_000  # the format's own limit


def header(tensors: Mapping[str, np.ndarray]) -> bytes:
    """Length and header of a file that holds these tensors."""
    entries, begin = {}, 0
    for name in sorted(tensors):
        tensor = tensors[name]
        if tensor.dtype.name not in DTYPES or name == "__metadata__":
            raise TypeError(f"tensor {name!r} of type {tensor.dtype} cannot be stored; use one of {', '.join(DTYPES)}")
        end = begin + tensor.nbytes
        entries[name] = {"dtype": DTYPES[tensor.dtype.name], "shape": list(tensor.shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(entries, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def read(path: Path) -> dict[str, np.ndarray]:
    """Tensors of a file, memory-mapped and read-only; ArtifactError when anything in the file is not as it must be."""
    total = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > min(total - 8, _HEADER_BYTES):
            raise ArtifactError(f"{path} is truncated: {total} bytes cannot hold its header; build it again")
        entries = _entries(path, file.read(length))
    data = np.memmap(path, mode="r", dtype=np.uint8)[8 + length :] if total > 8 + length else np.empty(0, np.uint8)
    end, found = 0, {}
    for name, entry in sorted(entries.items(), key=lambda item: (item[1][2], item[0])):
        dtype, shape, begin, stop = entry
        if begin != end or stop - begin != math.prod(shape) * dtype.itemsize or stop > len(data):
            raise ArtifactError(
                f"{path}: tensor {name!r} has bytes {begin} to {stop}, which do not fit; build it again"
            )
        found[name] = data[begin:stop].view(dtype).reshape(shape)
        end = stop
    if end != len(data):
        raise ArtifactError(f"{path} has {len(data) - end} bytes that belong to no tensor; build it again")
    return dict(sorted(found.items()))


_Entry = tuple[np.dtype[Any], tuple[int, ...], int, int]


def _entries(path: Path, text: bytes) -> dict[str, _Entry]:
    try:
        raw = json.loads(text)
        return {name: _entry(entry) for name, entry in raw.items() if name != "__metadata__"}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ArtifactError(f"{path}: its header is damaged ({error}); build it again") from error


def _entry(entry: dict[str, Any]) -> _Entry:
    shape, (begin, end) = entry["shape"], entry["data_offsets"]
    if not all(type(number) is int and 0 <= number < 2**63 for number in (*shape, begin, end)):
        raise ValueError("a shape or offset is not a natural number")
    if entry["dtype"] not in _NUMPY:
        raise ValueError(f"dtype {entry['dtype']!r} is not one of {', '.join(_NUMPY)}")
    return _NUMPY[entry["dtype"]], tuple(shape), begin, end


def _nowhere(_: memoryview) -> object:
    return None


def hash_tensor(name: str, value: np.ndarray, meanwhile: Callable[[memoryview], object] = _nowhere) -> Tensor:
    """The record of a tensor; its bytes go to `meanwhile` on the way."""
    array, hasher = little_endian(value), Hasher()
    try:
        if array.nbytes:
            hasher.update(bytes_of(array), meanwhile)
    finally:
        hasher.stop()
    found = hasher.finish()
    identity = tensor_digest(name, array.dtype.name, array.shape, found.sha256)
    return Tensor(digest=identity, xxh3=found.xxh3, dtype=array.dtype.name, shape=array.shape)


def tensors_part(found: Mapping[str, Tensor]) -> TensorsPart:
    """The part that named tensors make."""
    ordered = dict(sorted(found.items()))
    return TensorsPart(
        kind="tensors",
        digest=digest([tensor.digest for tensor in ordered.values()]),
        xxh3=xxhash.xxh3_128_hexdigest(canonical([tensor.xxh3 for tensor in ordered.values()])),
        tensors=ordered,
    )
