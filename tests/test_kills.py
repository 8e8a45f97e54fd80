"""kill -9 at every stage, then `dvc repro` again: the digests of an undisturbed build, and nothing is left over."""

import pytest

from engine.train.steplog import LOG
from tests.running import Project, kill, killed, output_of, reaches, start

REPRO = ["dvc", "repro"]
WORKER = "-m engine.train.worker"
MOMENTS = {  # of about thirty in a stage, fifty in `rows`: some before the manifest, between two renames, and after
    "corpus": (3, 30),
    "clean": (6, 28),
    "unique": (9, 25),
    "split": (12, 31),
    "tokenizer": (15, 20),
    "rows": (20, 45),
}


def killed_at_step(project: Project, command: list[str], stage: str, step: int) -> None:
    """Runs the command and kills it as soon as a training run has logged this step."""
    process = start(project, command)
    assert reaches(process, project.artifact(f".{stage}.partial") / LOG, lines=step), output_of(project)
    kill(process)
    assert project.is_left_alone(), project.processes()


def assert_as_undisturbed(project: Project, undisturbed: Project) -> None:
    assert project.manifests() == undisturbed.manifests()
    assert project.files() == undisturbed.files()
    assert (project.root / "dvc.lock").read_bytes() == (undisturbed.root / "dvc.lock").read_bytes()
    assert project.processes() == []


def test_killed_at_every_stage_and_at_several_training_steps(undisturbed: Project, bare: Project) -> None:
    for stage, (early, late) in MOMENTS.items():
        assert killed(bare, REPRO, f"run toy {stage} ", early)
        assert killed(bare, bare.command(stage), f"run toy {stage} ", late)
    assert killed(bare, REPRO, "bin/dvc repro", 4)  # dvc itself, while it takes a finished stage into its cache
    killed_at_step(bare, REPRO, "train", 1)
    assert killed(bare, bare.command("train"), WORKER, 25)  # in the middle of the checkpoint of step 4
    for stage, moment in {"train": 24, "resumed": 12, "perplexity": 2, "claims": 12}.items():
        assert killed(bare, REPRO, f"run toy {stage} ", moment)  # training runs: after their last step
    bare.dvc("repro")
    assert_as_undisturbed(bare, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["corpus", "rows"])
def test_killed_at_every_moment_of_a_stage(undisturbed: Project, project: Project, stage: str) -> None:
    moment, wanted = 1, undisturbed.files()
    while killed(project, project.command(stage), f"run toy {stage} ", moment):
        project.build(stage)
        assert project.files() == wanted, moment
        assert project.manifests(stage) == undisturbed.manifests(stage)
        project.remove(stage)
        moment += 1
    assert moment > 25


@pytest.mark.slow
def test_dvc_killed_at_every_moment_of_its_own(undisturbed: Project, bare: Project) -> None:
    moment = 1
    while killed(bare, [*REPRO, "toy-unique"], "bin/dvc repro", moment):
        moment += 1
    assert moment > 5
    assert bare.manifests("corpus", "clean", "unique") == undisturbed.manifests("corpus", "clean", "unique")


@pytest.mark.slow
def test_killed_at_every_step(undisturbed: Project, project: Project) -> None:
    for stage, first in {"train": 1, "resumed": 5}.items():
        project.remove(stage)
        for step in range(first, 9):
            killed_at_step(project, project.command(stage), stage, step - first + 1)
            assert not project.artifact(stage).exists()
        project.build(stage)
    project.dvc("repro")
    assert_as_undisturbed(project, undisturbed)
