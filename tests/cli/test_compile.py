"""`compile` writes golden plans and dvc.yaml; `--check` finds what is stale, edited by hand or left over."""

from pathlib import Path

import pytest

from tests.cli.conftest import call, edit

PLAN = "specs/toy/toy.plan.json"


@pytest.fixture
def compiled(toy: Path) -> Path:
    assert call(toy, "compile").code == 0
    return toy


def test_the_first_time_everything_is_written(toy: Path) -> None:
    before = call(toy, "compile", "--check", "--json")
    assert (before.code, before.json) == (1, {"checked": 2, "stale": [PLAN, "dvc.yaml"], "orphaned": []})
    assert not (toy / "dvc.yaml").exists()
    text = call(toy, "compile")
    assert text.out.splitlines() == [f"wrote {PLAN}", "wrote dvc.yaml", "2 generated files are current"]
    again = call(toy, "compile", "--json")
    assert (again.code, again.json) == (0, {"checked": 2, "written": [], "orphaned": []})


def test_a_current_project_passes_the_check(compiled: Path) -> None:
    done = call(compiled, "compile", "--check")
    assert (done.code, done.out) == (0, "2 generated files are current\n")


@pytest.mark.parametrize("name", [PLAN, "dvc.yaml"])
def test_a_file_edited_by_hand_is_found_and_mended(compiled: Path, name: str) -> None:
    path = compiled / name
    before = path.read_text()
    edit(path, "a", "b")
    done = call(compiled, "compile", "--check")
    assert (done.code, done.out) == (1, f"not current: {name}\nrun: facsimile compile\n")
    assert call(compiled, "compile").code == 0
    assert path.read_text() == before


def test_a_comment_is_no_change_and_a_value_is_one(compiled: Path) -> None:
    spec = compiled / "specs" / "toy" / "toy.yaml"
    spec.write_text(spec.read_text() + "# a last word\n")
    assert call(compiled, "compile", "--check").code == 0
    edit(spec, "chars: 40", "chars: 41")
    done = call(compiled, "compile", "--check")
    assert (done.code, done.out.splitlines()[:2]) == (1, [f"not current: {PLAN}", "not current: dvc.yaml"])


def test_what_no_spec_makes_any_more_is_found_and_removed(compiled: Path) -> None:
    spec = compiled / "specs" / "toy" / "toy.yaml"
    spec.with_name("large.yaml").write_text(
        spec.read_text().replace("experiment: toy", "experiment: large\nscale: full")
    )
    assert call(compiled, "compile").code == 0
    left = ["specs/toy/dvc.yaml", "specs/toy/large.plan.json"]
    assert all((compiled / name).is_file() for name in left)
    spec.with_name("large.yaml").unlink()
    found = call(compiled, "compile", "--check", "--json")
    assert (found.code, found.json["orphaned"]) == (1, left)
    assert f"orphaned, no spec makes it: {left[0]}" in call(compiled, "compile", "--check").out
    assert f"removed {left[1]}, no spec makes it" in call(compiled, "compile").out
    assert not any((compiled / name).exists() for name in left)


def test_a_pipeline_that_somebody_wrote_below_specs_stays(compiled: Path) -> None:
    own = compiled / "specs" / "toy" / "dvc.yaml"
    own.write_text("stages: {}\n")
    assert call(compiled, "compile").code == 0
    assert own.read_text() == "stages: {}\n"


def test_nothing_is_written_while_one_spec_is_broken(compiled: Path) -> None:
    spec = compiled / "specs" / "toy" / "toy.yaml"
    before = (compiled / "dvc.yaml").read_bytes()
    edit(spec, "chars: 40", "chars: 41")
    spec.with_name("other.yaml").write_text("experiment: another\n")
    assert call(compiled, "compile").code == 2
    assert (compiled / "dvc.yaml").read_bytes() == before
