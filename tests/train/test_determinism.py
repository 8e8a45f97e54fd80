"""Training gives the same bits again, after a resume, and under each ZeRO stage at world size 1."""

import json

import pytest

from engine.spec.layout import Layout
from engine.train.steplog import LOG, read_steps
from tests.train import toy
from tests.train.conftest import Cells, run_jobs


def test_two_runs_are_equal(cells: Cells) -> None:
    assert sorted(cells.digests("straight")) == ["step-0", "step-2", "step-4", "step-6"]
    assert cells.digests("again") == cells.digests("straight")


@pytest.mark.parametrize("zero", [1, 2])
def test_zero_stages_are_equal_though_every_step_is_clipped(cells: Cells, zero: int) -> None:
    assert cells.digests(f"zero{zero}") == cells.digests("straight")
    assert all(step.grad_norm > toy.CLIP for step in read_steps(cells.root / "straight" / LOG, 1))


@pytest.mark.parametrize("step", [2, 4])
def test_resumed_run_writes_the_checkpoints_of_the_straight_run(cells: Cells, step: int) -> None:
    straight = cells.digests("straight")
    assert cells.digests(f"resumed{step}") == {f"step-{at}": straight[f"step-{at}"] for at in range(step, 7, 2)}


def test_resume_under_zero_2_from_a_checkpoint_of_zero_0(cells: Cells) -> None:
    assert cells.digests("zero2-resumed")["step-6"] == cells.digests("straight")["step-6"]


def test_rates_under_mup_hold_in_the_flat_partitions_of_zero_2(cells: Cells) -> None:
    straight = read_steps(cells.root / "alibi_gpt" / LOG, 1)
    assert straight[-1].loss < straight[0].loss
    assert cells.digests("alibi_gpt-zero2-resumed")["step-6"] == cells.digests("alibi_gpt")["step-6"]


def test_a_one_bit_mamba2_on_native_kernels_learns_and_resumes(cells: Cells) -> None:
    steps = read_steps(cells.root / "mamba2" / LOG, 1)
    assert steps[-1].loss < steps[0].loss
    assert cells.digests("mamba2-resumed")["step-6"] == cells.digests("mamba2")["step-6"]


def test_resumed_run_logs_its_own_steps_as_the_straight_run_did(cells: Cells) -> None:
    straight = read_steps(cells.root / "straight" / LOG, 1)
    assert read_steps(cells.root / "resumed4" / LOG, 5) == straight[4:]
    assert straight[-1].loss < straight[0].loss


def test_checkpoints_name_their_parents_and_their_place_in_the_data(cells: Cells) -> None:
    found = {step: json.loads((cells.root / "straight" / f"step-{step}" / "state.json").read_text()) for step in (0, 4)}
    assert found[0] == {"step": 0, "position": 0, "parent": "", "generators": {"model/init": 11}}
    assert found[4]["parent"] == cells.digests("straight")["step-2"]
    assert found[4]["position"] == 16


def test_two_ranks_train_on_the_same_batches(cells: Cells) -> None:
    run_jobs(cells.root, {f"world2-zero{z}": (toy.plan(Layout(world=2, zero=z)), "") for z in (0, 2)})
    one = read_steps(cells.root / "straight" / LOG, 1)
    for zero in (0, 2):
        two = read_steps(cells.root / f"world2-zero{zero}" / LOG, 1)
        assert [step.batch for step in two] == [step.batch for step in one]
        assert [step.loss for step in two] == pytest.approx([step.loss for step in one], rel=1e-5)
        assert [step.grad_norm for step in two] == pytest.approx([step.grad_norm for step in one], rel=1e-4)
