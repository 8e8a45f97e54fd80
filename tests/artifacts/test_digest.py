"""Files are hashed as they are written, whatever the size of the writes; tensors by what they are."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import xxhash

from engine.artifacts.digest import BLOCK_BYTES, THREAD_BYTES, HashingFile, file_digest
from engine.artifacts.tensors import hash_tensor
from engine.spec.errors import ArtifactError

SIZES = (0, 1, 100, THREAD_BYTES - 1, THREAD_BYTES, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES + 7)


def content(size: int) -> bytes:
    return np.random.Generator(np.random.Philox(size)).bytes(size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("write_bytes", [1 << 15, THREAD_BYTES, BLOCK_BYTES + 5, 1 << 30])
def test_the_digest_of_a_written_file_is_that_of_its_bytes(tmp_path: Path, size: int, write_bytes: int) -> None:
    data = content(size)
    with HashingFile(tmp_path / "file") as file:
        for begin in range(0, size, write_bytes):
            file.write(data[begin : begin + write_bytes])
    assert (tmp_path / "file").read_bytes() == data
    assert file.result().sha256 == hashlib.sha256(data).hexdigest()
    assert file.result().xxh3 == xxhash.xxh3_128_hexdigest(data)
    assert file.result() == file_digest(tmp_path / "file")


def test_a_buffer_may_change_as_soon_as_it_is_written(tmp_path: Path) -> None:
    buffer = bytearray(2 * BLOCK_BYTES)
    with HashingFile(tmp_path / "file") as file:
        file.write(buffer)
        buffer[:] = b"x" * len(buffer)
        file.write(buffer)
    assert file.result() == file_digest(tmp_path / "file")


def test_sizes_of_small_and_large_writes_mix(tmp_path: Path) -> None:
    data = content(3 * BLOCK_BYTES)
    sizes = [10, BLOCK_BYTES, 10, THREAD_BYTES - 1, BLOCK_BYTES // 2, BLOCK_BYTES // 2, 1]
    with HashingFile(tmp_path / "file") as file:
        begin = 0
        for size in sizes:
            file.write(data[begin : begin + size])
            begin += size
            assert file.tell() == begin
    assert (tmp_path / "file").read_bytes() == data[:begin]
    assert file.result() == file_digest(tmp_path / "file")


def test_a_full_disk_is_called_so() -> None:
    with pytest.raises(ArtifactError, match=r"disk is full .*/dev; nothing that was finished has been touched"):  # noqa: SIM117
        with HashingFile(Path("/dev/full")) as file:
            file.write(b"x" * BLOCK_BYTES)


def test_a_tensor_is_its_values_not_its_layout() -> None:
    values = np.arange(24, dtype="<f4").reshape(4, 6)
    same = [values.astype(">f4"), np.asfortranarray(values), values[::-1][::-1], np.arange(48, dtype="f4")[::2] / 2]
    same[3] = same[3].reshape(4, 6)
    assert {hash_tensor("w", value).digest for value in same} == {hash_tensor("w", values).digest}


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("v", np.arange(6, dtype="f4")),
        ("w", np.arange(6, dtype="f8")),
        ("w", np.arange(6, dtype="i4")),
        ("w", np.arange(6, dtype="f4").reshape(2, 3)),
        ("w", np.array([0, 1, 2, 3, 4, 6], "f4")),
    ],
)
def test_name_dtype_shape_and_values_count(name: str, other: np.ndarray) -> None:
    assert hash_tensor(name, other).digest != hash_tensor("w", np.arange(6, dtype="f4")).digest


def test_the_identity_of_a_tensor_is_pinned() -> None:
    found = hash_tensor("w", np.arange(6, dtype="f4").reshape(2, 3))
    assert found.digest == "630ac68d5d2a50456ac1a6e5eb9f4c01b22655bd0dc6cae68b7596b894a7570d"
