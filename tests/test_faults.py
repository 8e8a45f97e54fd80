"""What people do to a project by accident: two runs at once, inputs and generated files edited, specs not compiled."""

import pytest

from tests.running import STAGES, Project, flip_bit, held, output_of


def test_two_runs_of_one_stage_at_once(undisturbed: Project, project: Project) -> None:
    project.remove("rows")
    with held(project, project.command("rows"), "run toy rows ", 10) as first:
        said = project.build("rows", code=1)
    assert f"toy/rows is already being built by process {first.pid}" in said
    assert first.returncode == 0, output_of(project)
    assert project.manifests("rows") == undisturbed.manifests("rows")


@pytest.mark.parametrize(
    ("stage", "words", "edited"),
    [
        ("rows", "run toy rows ", "split/train/part-00000.parquet"),
        pytest.param("train", "-m engine.train.worker", "rows/rows/ids.npy", marks=pytest.mark.slow),
    ],
    ids=["rows", "train"],
)
def test_an_input_that_is_edited_while_a_stage_runs(project: Project, stage: str, words: str, edited: str) -> None:
    project.remove(stage)
    with held(project, project.command(stage), words, 20) as process:
        flip_bit(project.artifact(edited))
    assert process.returncode == 1
    assert "changed while the stage ran; nothing was kept" in output_of(project)
    assert str(project.artifact(edited)) in output_of(project)
    assert not project.artifact(stage).exists()
    assert not project.artifact(f".{stage}.partial").exists()


@pytest.mark.parametrize(
    ("old", "new"),
    [("run toy rows --recipe ", "run toy rows --recipe 0"), ("run toy rows ", "run toy split ")],
    ids=["recipe", "stage"],
)
def test_a_hand_edited_command_is_refused(undisturbed: Project, project: Project, old: str, new: str) -> None:
    project.edit("dvc.yaml", old, new)
    assert "not current: dvc.yaml" in project.facsimile("compile", "--check", code=1)
    said = project.dvc("repro", code=255)
    assert "run: facsimile compile" in said
    assert project.manifests() == undisturbed.manifests()
    project.facsimile("compile")
    assert running(project.dvc("repro")) == ["compiled"]


def test_a_hand_edited_lock_file_is_mended_and_nothing_is_built_again(undisturbed: Project, project: Project) -> None:
    lock = (project.root / "dvc.lock").read_text(encoding="utf-8")
    line = next(line for line in lock.splitlines() if line.endswith(".dir"))
    project.edit("dvc.lock", line, line[:-36] + "0" * 32 + ".dir")
    assert building(project.dvc("repro")) == []
    assert (project.root / "dvc.lock").read_text(encoding="utf-8") == lock
    assert project.manifests() == undisturbed.manifests()


def test_a_comment_rebuilds_nothing_and_a_value_must_be_compiled(undisturbed: Project, project: Project) -> None:
    project.edit("specs/toy/toy.yaml", "# The smallest", "# By far the smallest")
    project.facsimile("compile", "--check")
    said = project.dvc("repro")
    assert building(said) == []
    assert [stage for stage in STAGES if f"toy/{stage}: kept" in said] == list(STAGES)
    project.edit("specs/toy/toy.yaml", "chars: 40", "chars: 41")
    said = project.dvc("repro", code=255)
    assert "run: facsimile compile" in said
    assert running(said) == ["compiled"]
    assert project.manifests() == undisturbed.manifests()


def building(said: str) -> list[str]:
    """The runs that were project."""
    return [line for line in said.splitlines() if ": building" in line or ": built" in line]


def running(said: str) -> list[str]:
    """The stages that DVC ran."""
    return [line.split("'")[1] for line in said.splitlines() if line.startswith("Running stage ")]
