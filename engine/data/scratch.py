"""Scratch space of a data stage: a folder beside its outputs, gone before the artifact is sealed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.artifacts import disk
from engine.artifacts.draft import Draft


@contextmanager
def scratch_folder(out: Draft) -> Iterator[Path]:
    """An empty folder for spilled data; it is removed at the end, and so is one that a killed run left."""
    folder = out.folder / ".spill"
    with disk.writing(out.folder):
        disk.remove(folder)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            disk.remove(folder)
