"""Real files that a mirror holds; where no mirror is given, the test skips with that reason."""

import os
from pathlib import Path

import pytest


def mirrored(name: str) -> Path:
    """The file of a mirror under its path there."""
    folders = [Path(folder) for folder in os.environ.get("FACSIMILE_MIRRORS", "").split(":") if folder]
    if not folders:
        pytest.skip(f"no mirror is given that may hold {name}; set FACSIMILE_MIRRORS")
    found = [folder / name for folder in folders if (folder / name).is_file()]
    assert found, f"no mirror holds {name}"
    return found[0]
