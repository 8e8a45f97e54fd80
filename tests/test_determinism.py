"""The same bytes wherever and however: compiled anywhere, with more workers, from a mirror, in a scratch folder."""

import json
import shutil
from pathlib import Path

import pytest

from engine.artifacts.digest import file_digest
from tests.running import DATA_STAGES, Project

GENERATED = ("specs/toy/toy.plan.json", "dvc.yaml")
ASCII_ONLY = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
SHELLS = {
    "plain": {"PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8"},
    "ascii": {"PYTHONHASHSEED": "77", "TZ": "America/St_Johns", **ASCII_ONLY},
    "random": {"PYTHONHASHSEED": "random", "TZ": "UTC", "LC_ALL": "POSIX", "FACSIMILE_WORKERS": "2"},
}


def test_compiled_in_processes_that_differ(untouched: Project, tmp_path: Path) -> None:
    found = set()
    for place, (name, shell) in enumerate(SHELLS.items()):
        project = untouched.copy(tmp_path / name / ("d" * place) / "project")
        project.edit("specs/toy/toy.yaml", "# The smallest", "# \u00a9 \u2014 the smallest")  # no ASCII
        project.edit("specs/toy/toy.yaml", "says: every row", "says: \u201cevery\u201d row")
        for path in GENERATED:
            (project.root / path).unlink()
        inside = Project(project.root / ("specs/toy" if place else "."))
        inside.facsimile("compile", **shell)
        found.add(tuple((project.root / path).read_bytes() for path in GENERATED))
    assert len(found) == 1
    assert "\u201cevery\u201d" in found.pop()[0].decode("utf-8")


def test_data_rebuilt_by_two_workers_from_a_mirror(undisturbed: Project, project: Project, tmp_path: Path) -> None:
    project.facsimile("record", "toy")
    mirror = tmp_path / "mirror"
    shutil.move(project.root / "texts", mirror)
    shutil.rmtree(project.root / "data" / "sources")
    files = [{"path": path.name, "sha256": file_digest(path).sha256} for path in sorted(mirror.iterdir())]
    (mirror / "index.json").write_text(json.dumps(files), encoding="utf-8")
    placed = {"FACSIMILE_WORKERS": "2", "FACSIMILE_MIRRORS": str(mirror)}
    said = project.facsimile("verify", "toy", "--stage", "rows", **placed)
    assert f"{len(DATA_STAGES)} of {len(DATA_STAGES)} stages as recorded" in said
    assert "different" not in said
    assert project.files() == undisturbed.files()  # the scratch folder is gone, the sources are back


@pytest.mark.slow
def test_everything_rebuilt_in_a_scratch_folder(project: Project) -> None:
    project.facsimile("record", "toy")
    said = project.facsimile("verify", "toy")
    assert "different" not in said
    assert "toy: 10 of 10 stages as recorded" in said
