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
    edit(path, "recipe", "receipt")
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
    left = ["specs/toy/dvc.yaml", "specs/toy/large.plan.json", "specs/toy/large.sbatch"]
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


def test_a_pipeline_that_somebody_wrote_is_never_overwritten(toy: Path) -> None:
    own = toy / "dvc.yaml"
    own.write_text("stages: {mine: {cmd: echo}}\n")
    for words in (("compile",), ("compile", "--check")):
        done = call(toy, *words)
        assert (done.code, done.out) == (2, "")
        assert f"{own}: was not written by `facsimile compile`" in done.err
        assert "move what is yours to a dvc.yaml in another folder" in done.err
    assert own.read_text() == "stages: {mine: {cmd: echo}}\n"
    assert not (toy / PLAN).exists()
    own.write_text("")
    assert call(toy, "compile").code == 0


@pytest.mark.parametrize(
    ("typo", "told"),
    [
        ("experimet: toy", "toy.yaml:3:1: experimet: is n"),
        ("Experiment: toy", "(did you mean 'experiment'?)"),
        ("about: a spec without its key", "toy.yaml:2:1: experiment: "),
    ],
)
def test_a_spec_whose_key_is_misspelt_is_refused_and_its_plan_stays(compiled: Path, typo: str, told: str) -> None:
    edit(compiled / "specs" / "toy" / "toy.yaml", "experiment: toy", typo)
    for words in (("compile", "--check"), ("compile",)):
        done = call(compiled, *words)
        assert done.code == 2
        assert told in done.err
    assert (compiled / PLAN).is_file()


def test_a_base_is_no_spec_unless_it_names_an_experiment(compiled: Path) -> None:
    folder = compiled / "specs" / "toy"
    (folder / "toy.yaml").rename(folder / "shared.yaml")
    edit(folder / "shared.yaml", "experiment: toy\n", "")
    (folder / "toy.yaml").write_text("extends: 'shared.yaml'  # all of it\nexperiment: toy\n")
    assert call(compiled, "compile", "--json").json["written"] == ["dvc.yaml"]
    (folder / "other.yaml").write_text("experiment: other\nextends: toy.yaml\n")
    assert "specs/toy/other.plan.json" in call(compiled, "compile", "--json").json["written"]
    assert call(compiled, "compile", "--check", "--json").json["checked"] == 3
    (folder / "toy.yaml").unlink()
    (folder / "other.yaml").unlink()
    alone = call(compiled, "compile")
    assert alone.code == 2
    assert "shared.yaml" in alone.err


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("toy/new.yml", "is not read; name it new.yaml"),
        ("toy/new.YAML", "is not read; name it new.yaml"),
        ("new.yaml", "is not read; a spec lies at {specs}/PAPER/new.yaml, move it there"),
        ("toy/deep/new.yaml", "is not read; a spec lies at {specs}/PAPER/new.yaml, move it there"),
    ],
)
def test_a_file_that_nobody_would_read_is_told(compiled: Path, name: str, told: str) -> None:
    stray = compiled / "specs" / name
    stray.parent.mkdir(exist_ok=True)
    stray.write_text("experiment: new\n")
    done = call(compiled, "compile", "--check")
    assert (done.code, done.err) == (2, f"error: {stray}: {told.format(specs=compiled / 'specs')}\n")
    stray.rename(stray.with_name(".new.yaml"))
    assert call(compiled, "compile", "--check").code == 0


def test_two_experiments_of_one_name_are_told_with_both_files(compiled: Path) -> None:
    spec = compiled / "specs" / "toy" / "toy.yaml"
    twin = compiled / "specs" / "zoo" / "toy.yaml"
    twin.parent.mkdir()
    twin.write_text(spec.read_text().replace("paper: toy", "paper: zoo"))
    done = call(compiled, "compile")
    assert done.code == 2
    assert done.err.startswith(f"error: {twin}: experiment: the experiment 'toy' stands in {spec} too; ")


def test_two_stages_of_one_name_in_dvc_yaml_are_told(compiled: Path) -> None:
    spec = compiled / "specs" / "toy" / "toy.yaml"
    head = (
        "format: 1\nexperiment: {}\npaper: toy\ndeterminism: repeat\nstages:\n  {}:\n    kind: ingest\n    sources:\n"
    )
    source = spec.read_text().partition("    sources:\n")[2].partition("  clean:")[0]
    spec.with_name("a.yaml").write_text(head.format("a", "b-c") + source)
    spec.with_name("a-b.yaml").write_text(head.format("a-b", "c") + source)
    done = call(compiled, "compile")
    assert done.code == 2
    assert "a.yaml: stages.b-c: would be called a-b-c in dvc.yaml, as one of a-b; rename one" in done.err


def test_the_stamp_is_written_only_when_all_is_current(compiled: Path) -> None:
    stamp = compiled / "data" / "artifacts" / ".compiled"
    words = ("compile", "--check", "--stamp", str(stamp))
    assert call(compiled, *words).code == 0
    first = stamp.read_bytes()
    stamp.unlink()
    edit(compiled / "dvc.yaml", "recipe", "receipt")
    assert (call(compiled, *words).code, stamp.exists()) == (1, False)
    assert call(compiled, "compile").code == 0
    assert (call(compiled, *words).code, stamp.read_bytes()) == (0, first)
    assert call(compiled, "compile", "--stamp", str(stamp)).err == "error: --stamp goes with --check; add it\n"
