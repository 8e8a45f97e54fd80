"""A disk that fills up under a stage: a clear error, exit code 1, nothing finished is touched; with room it builds."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.running import Project

KIB = 1 << 10


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """The folder as a disk of 8 MiB, with what lay in it; false where this machine lets nobody mount one."""
    aside = folder.with_name(f"{folder.name}.aside")
    folder.rename(aside)
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        shutil.copytree(aside, folder, dirs_exist_ok=True)
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def run_with_room(project: Project, stage: str, room: int, mounted: bool) -> str:
    """What a stage says that finds so many bytes of room; without a small disk: that may write no larger file."""
    if not mounted:
        words = ["sh", "-c", f'ulimit -f {room // 8 // 512}; exec "$@"', "sh", *project.command(stage)]
        return project.said(words, 1, {})
    ballast = project.root / "data" / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(ballast.parent).free - room))
    try:
        return project.build(stage, code=1)
    finally:
        ballast.unlink()


@pytest.mark.parametrize(
    ("stage", "rooms"),
    [("rows", (0, 40 * KIB, 92 * KIB)), pytest.param("train", (900 * KIB,), marks=pytest.mark.slow)],
    ids=["rows", "train"],
)
def test_a_full_disk(undisturbed: Project, project: Project, stage: str, rooms: tuple[int, ...]) -> None:
    project.remove(stage)
    others = project.files()
    with small_disk(project.root / "data") as mounted:
        for room in rooms:
            said = run_with_room(project, stage, room, mounted)
            assert "the disk is full" in said
            assert "nothing that was finished has been touched" in said
            assert not project.artifact(stage).exists()
            assert [name for name in others if name not in project.files()] == []
        project.build(stage)
        assert project.manifests() == undisturbed.manifests()
        assert project.files() == undisturbed.files()
