"""`dvc repro` of anything first checks that all is compiled: an edited engine is never passed over."""

import os
import shutil
from pathlib import Path

from tests.cli.conftest import edit
from tests.conftest import ROOT
from tests.running import Project


def ran(said: str) -> list[str]:
    """The stages that DVC ran."""
    return [line.split("'")[1] for line in said.splitlines() if line.startswith("Running stage ")]


def test_dvc_runs_only_the_check_until_the_engine_changes(bare: Project, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "engine", tmp_path / "edited" / "engine")
    engine = {"PYTHONPATH": str(tmp_path / "edited")}
    assert ran(bare.dvc("repro", "toy-clean", **engine)) == ["compiled", "toy-corpus", "toy-clean"]
    assert ran(bare.dvc("repro", "toy-clean", **engine)) == ["compiled"]
    edit(tmp_path / "edited" / "engine" / "data" / "clean.py", "\n\ndef clean(", "\n\nOTHER = 1\n\n\ndef clean(")
    assert ran(bare.dvc("repro", "toy-clean", **engine)) == ["compiled"]


def test_dvc_stops_at_an_engine_that_would_build_something_else(bare: Project, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "engine", tmp_path / "edited" / "engine")
    engine = {"PYTHONPATH": f"{tmp_path / 'edited'}{os.pathsep}{ROOT}"}
    bare.dvc("repro", "toy-corpus", **engine)
    edit(tmp_path / "edited" / "engine" / "data" / "deal.py", "int(chunks / repeat)", "int(chunks / (repeat + 0))")
    for stage in ("toy-corpus", "toy-claims"):
        said = bare.dvc("repro", stage, code=255, **engine)
        assert ran(said) == ["compiled"]
        assert "not current: dvc.yaml\nrun: facsimile compile\n" in said
    bare.facsimile("compile", **engine)
    assert ran(bare.dvc("repro", "toy-corpus", **engine)) == ["compiled"]
