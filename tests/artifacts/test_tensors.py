"""Own safetensors files: read back by the safetensors library, and never trusted when read."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from engine.artifacts.draft import Draft
from engine.artifacts.read import read_tensors
from engine.artifacts.tensors import DTYPES
from engine.spec.errors import ArtifactError

TENSORS = {name: (np.arange(15) % 2).astype(name).reshape(3, 5) for name in DTYPES} | {
    "scalar": np.array(2.5),
    "empty": np.empty((0, 3), "float32"),
    "strided": np.arange(20, dtype="int64").reshape(4, 5)[:, ::2],
}


def written(folder: Path, tensors: dict[str, np.ndarray]) -> Path:
    Draft(folder).tensors("model", "weights", tensors)
    return folder / "model" / "weights.safetensors"


def test_the_library_reads_what_we_write(tmp_path: Path) -> None:
    found = load_file(written(tmp_path, TENSORS))
    assert sorted(found) == sorted(TENSORS)
    for name, tensor in TENSORS.items():
        assert found[name].dtype == tensor.dtype
        np.testing.assert_array_equal(found[name], tensor)


def test_we_read_what_the_library_writes(tmp_path: Path) -> None:
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in TENSORS.items()}
    save_file(tensors, tmp_path / "weights.safetensors", metadata={"format": "pt"})
    found = read_tensors(tmp_path, "weights")
    assert list(found) == sorted(tensors)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(found[name], tensor)


def test_the_file_is_the_same_for_any_order_and_byte_order(tmp_path: Path) -> None:
    turned = {name: TENSORS[name].astype(TENSORS[name].dtype.newbyteorder(">")) for name in reversed(TENSORS)}
    first, second = written(tmp_path / "a", TENSORS), written(tmp_path / "b", turned)
    assert first.read_bytes() == second.read_bytes()
    assert int.from_bytes(first.read_bytes()[:8], "little") % 8 == 0
    assert "__metadata__" not in first.read_text("latin-1")


def test_a_type_that_the_format_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="complex128 cannot be stored; use one of bool, float16"):
        written(tmp_path, {"w": np.zeros(2, "complex128")})


def with_header(header: object, data: bytes, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(begin: int, end: int, shape: list[Any], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


BROKEN = {
    "nothing": b"",
    "a short length": b"\x08\0\0",
    "no header": (8).to_bytes(8, "little"),
    "an absurd length": with_header({}, b"", 2**63),
    "a length past the end": with_header({}, b"", 1000),
    "no JSON": with_header(b"{oops}", b""),
    "no text": with_header(b"\xff\xfe{}", b""),
    "a list": with_header([1], b""),
    "deep nesting": with_header(b"[" * 100_000, b""),
    "an entry that is no mapping": with_header({"a": 1}, b""),
    "a missing key": with_header({"a": {"dtype": "F32", "shape": [1]}}, bytes(4)),
    "three offsets": with_header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 8]}}, bytes(4)),
    "an unknown type": with_header({"a": entry(0, 4, [1], "BF99")}, bytes(4)),
    "a negative offset": with_header({"a": entry(-4, 0, [1])}, bytes(4)),
    "a shape that is no number": with_header({"a": entry(0, 4, ["1"])}, bytes(4)),
    "a true shape": with_header({"a": entry(0, 4, [True])}, bytes(4)),
    "a negative shape": with_header({"a": entry(0, 4, [-1, -1])}, bytes(4)),
    "a shape that overflows": with_header({"a": entry(0, 4, [2**62, 2**62, 4])}, bytes(4)),
    "a type of another size": with_header({"a": entry(0, 4, [1], "F64")}, bytes(4)),
    "data that ends early": with_header({"a": entry(0, 8, [2])}, bytes(4)),
    "overlapping tensors": with_header({"a": entry(0, 8, [2]), "b": entry(4, 12, [2])}, bytes(12)),
    "a gap": with_header({"a": entry(0, 4, [1]), "b": entry(8, 12, [1])}, bytes(12)),
    "bytes at the end": with_header({"a": entry(0, 4, [1])}, bytes(5)),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "weights.safetensors").write_bytes(data)
    with pytest.raises(ArtifactError, match=r"weights\.safetensors"):
        read_tensors(tmp_path, "weights")


def test_every_truncation_is_found(tmp_path: Path) -> None:
    whole = written(tmp_path, {"a": np.arange(4, dtype="f4"), "b": np.arange(3, dtype="u1")}).read_bytes()
    for size in range(len(whole)):
        (tmp_path / "weights.safetensors").write_bytes(whole[:size])
        with pytest.raises(ArtifactError):
            read_tensors(tmp_path, "weights")


def test_tensors_are_mapped_and_cannot_be_written(tmp_path: Path) -> None:
    written(tmp_path, TENSORS)
    tensor = read_tensors(tmp_path / "model", "weights")["float32"]
    assert isinstance(tensor, np.memmap)
    assert not tensor.flags.writeable


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"weights\.safetensors cannot be read"):
        read_tensors(tmp_path, "weights")
