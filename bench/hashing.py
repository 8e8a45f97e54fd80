"""Hashing while writing against hashlib's sha256 alone on the same buffer, in one run. python -m bench.hashing

Every figure is the best of several rounds; the rounds of all cases alternate, so that a busy machine hits all alike.
"""

import argparse
import hashlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xxhash

from engine.artifacts.digest import BLOCK_BYTES, Hasher, HashingFile, file_digest
from engine.artifacts.draft import ArrayWriter
from engine.artifacts.tensors import hash_tensor

Case = Callable[[], object]


def cases(buffer: bytes, folder: Path) -> dict[str, Case]:
    """What is measured, by name; the first is what all others are divided by."""
    array = np.frombuffer(buffer, np.float32).reshape(-1, 256)
    (folder / "read").write_bytes(buffer)
    return {
        "hashlib sha256 alone": lambda: hashlib.sha256(buffer).hexdigest(),
        "XXH3-128 alone": lambda: xxhash.xxh3_128_hexdigest(buffer),
        "sha256, then XXH3, then write": lambda: one_after_another(buffer, folder / "plain"),
        "both hashes, nothing written": lambda: hashed(buffer),
        "HashingFile to a file, whole": lambda: written(folder / "whole", buffer, len(buffer)),
        "HashingFile to a file, 64 KiB writes": lambda: written(folder / "pieces", buffer, 1 << 16),
        "HashingFile to a file, 100 byte writes": lambda: written(folder / "lines", buffer[: len(buffer) // 8], 100),
        "ArrayWriter, 1 MiB of rows at a time": lambda: rows(folder / "rows.npy", array),
        "tensor digest": lambda: hash_tensor("weight", array),
        "file digest": lambda: file_digest(folder / "read"),
    }


def one_after_another(buffer: bytes, path: Path) -> None:
    hashlib.sha256(buffer).hexdigest()
    xxhash.xxh3_128_hexdigest(buffer)
    path.write_bytes(buffer)


def hashed(buffer: bytes) -> None:
    hasher = Hasher()
    for begin in range(0, len(buffer), BLOCK_BYTES):
        hasher.update(memoryview(buffer)[begin : begin + BLOCK_BYTES])
    hasher.finish()


def written(path: Path, buffer: bytes, write_bytes: int) -> None:
    view = memoryview(buffer)
    with HashingFile(path) as file:
        for begin in range(0, len(view), write_bytes):
            file.write(view[begin : begin + write_bytes])


def rows(path: Path, array: np.ndarray) -> None:
    with ArrayWriter(path, "rows", array.dtype, array.shape[1:], lambda *_: None) as writer:
        for begin in range(0, len(array), 1024):
            writer.write(array[begin : begin + 1024])


def seconds(case: Case) -> float:
    began = time.perf_counter()
    case()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mebibytes", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="where files are written; a tmpfs")
    args = parser.parse_args()
    buffer = np.random.Generator(np.random.Philox(1)).bytes(args.mebibytes << 20)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        measured = cases(buffer, Path(folder))
        best = dict.fromkeys(measured, float("inf"))
        for _ in range(args.rounds):
            for name, case in measured.items():
                best[name] = min(best[name], seconds(case))
    first = next(iter(best.values()))
    for name, took in best.items():
        size = len(buffer) // 8 if "100 byte" in name else len(buffer)
        speed = size / took
        print(f"{name:<40} {speed / 1e9:6.2f} GB/s   {speed / (len(buffer) / first):5.2f} of sha256 alone")


if __name__ == "__main__":
    main()
