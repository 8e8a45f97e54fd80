"""A store in a scratch folder, and a small disk that can be filled."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.artifacts.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "artifacts")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A folder that holds 1 MiB, and the file size limit a process needs to feel it (0: the disk itself is small)."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    yield folder, 0 if mounted else 1 << 20
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)
