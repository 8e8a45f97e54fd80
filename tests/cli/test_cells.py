"""Cells of a matrix: built some at a time, each whole or not there, and the same bytes as one after the other."""

import shutil
from pathlib import Path

from tests.cli.conftest import MARK, call

RUN = ("run", "cells", "split")


def manifests(root: Path) -> dict[str, bytes]:
    paths = sorted((root / "data" / "artifacts" / "cells" / "split").glob("*/manifest.json"))
    return {path.parent.name: path.read_bytes() for path in paths}


def recipe(root: Path) -> str:
    return call(root, *RUN).err.split("has --recipe ")[1].split()[0]


def test_two_cells_at_a_time_are_the_cells_one_after_the_other(built: Path) -> None:
    before = manifests(built)
    assert len(before) == 4
    gone = built / "data" / "artifacts" / "cells" / "split" / sorted(before)[0]
    shutil.rmtree(gone)
    shutil.rmtree(gone.with_name(sorted(before)[3]))
    done = call(built, *RUN, "--recipe", recipe(built), **{MARK: "1", "FACSIMILE_WORKERS": "2"})
    assert done.code == 0, done.err
    assert "2 cells built, 2 kept" in done.out
    assert manifests(built) == before


def test_a_cell_that_fails_says_so_and_the_others_stay(built: Path) -> None:
    before = manifests(built)
    shutil.rmtree(built / "data" / "artifacts" / "cells" / "split")
    table = next((built / "data" / "artifacts" / "cells" / "corpus" / "documents").glob("*.parquet"))
    whole = table.read_bytes()
    table.write_bytes(whole[:-1])
    failed = call(built, *RUN, "--recipe", recipe(built), **{MARK: "1", "FACSIMILE_WORKERS": "2"})
    assert failed.code == 1
    assert "cells/corpus" in failed.err
    assert "Traceback" not in failed.err
    assert manifests(built) == {}
    table.write_bytes(whole)
    assert call(built, *RUN, "--recipe", recipe(built), **{MARK: "1", "FACSIMILE_WORKERS": "2"}).code == 0
    assert manifests(built) == before
