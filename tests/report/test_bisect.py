"""Two runs part at a step and at a tensor, and the first of each is told."""

from pathlib import Path

import numpy as np
import pytest

from engine.artifacts.draft import Draft
from engine.artifacts.manifest import MANIFEST, Manifest, content_digest
from engine.report.bisect import Side, bisect, side
from engine.report.interval import compared, drawn, interval_named
from engine.spec.canonical import pretty
from engine.spec.errors import SpecError
from engine.train.steplog import LOG, Step, lines
from tests.train import toy

WEIGHTS = {"a": np.arange(3, dtype=np.float32), "b": np.ones((2, 2), np.float32)}


def run(folder: Path, steps: int = 6, every: int = 2, **changes: tuple[int, dict[str, object]]) -> Side:
    """A run as training leaves it; `log` and `weights` change records, or tensors of checkpoints, from a step on."""
    out = Draft(folder)
    from_step, fields = changes.get("log", (steps + 1, {}))
    from_checkpoint, tensors = changes.get("weights", (steps + 1, {}))
    for step in range(0, steps + 1, every):
        found = WEIGHTS | (tensors if step >= from_checkpoint else {})
        out.tensors(f"step-{step}", "model", {name: np.asarray(value, np.float32) for name, value in found.items()})
        out.json(f"step-{step}", "state.json", {"step": step})
        out.close(f"step-{step}")
    logged = tuple(record(step, fields if step >= from_step else {}) for step in range(1, steps + 1))
    (folder / LOG).write_bytes(lines(logged))
    with out.file("log", "steps.jsonl") as file:
        file.write(lines(logged))
    out.close("log")
    outputs = out.outputs()
    manifest = Manifest(
        format=1, run="toy/x", recipe="0" * 64, code="0" * 64, content=content_digest(outputs, {}),
        stage={"kind": "train"}, inputs={}, outputs=outputs, metrics={},
    )  # fmt: skip
    (folder / MANIFEST).write_text(pretty(manifest))
    return side(folder.name, folder)


def record(step: int, changes: dict[str, object]) -> Step:
    loss = 3.0 - step / 10
    fields = {"step": step, "loss": loss, "loss_hex": loss.hex(), "grad_norm": 1.0, "grad_norm_hex": (1.0).hex()}
    return Step.model_validate({**fields, "lr": 0.1, "rows_seen": 4 * step, "batch": f"batch-{step}", **changes})


def test_equal_runs_do_not_part(tmp_path: Path) -> None:
    found = bisect(run(tmp_path / "a"), run(tmp_path / "b"))
    assert found.equal
    assert (found.steps, found.checkpoints, found.last_equal) == (6, (0, 2, 4, 6), 6)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"batch": "x", "lr": 0.2}, "batch"),
        ({"lr": 0.2, "loss_hex": "x"}, "lr"),
        ({"loss_hex": "x", "grad_norm_hex": "x"}, "loss_hex"),
        ({"grad_norm_hex": "x"}, "grad_norm_hex"),
    ],
)
def test_the_first_step_and_what_came_first_in_it(tmp_path: Path, changes: dict[str, object], field: str) -> None:
    found = bisect(run(tmp_path / "a"), run(tmp_path / "b", log=(3, changes)))
    assert (found.step, found.field, found.equal) == (3, field, False)
    assert found.data()["checkpoint"] is None


def test_the_first_tensor_of_the_first_checkpoint_that_differs(tmp_path: Path) -> None:
    found = bisect(run(tmp_path / "a"), run(tmp_path / "b", weights=(4, {"b": np.zeros((2, 2))})))
    assert (found.step, found.last_equal, found.checkpoint, found.tensors) == (0, 2, 4, ("model/b",))


def test_runs_of_other_lengths_are_compared_where_both_are(tmp_path: Path) -> None:
    found = bisect(run(tmp_path / "a"), run(tmp_path / "b", steps=8, every=4))
    assert (found.equal, found.steps, found.checkpoints) == (True, 6, (0, 4))


def test_a_run_that_is_no_training_is_refused(tmp_path: Path) -> None:
    run(tmp_path / "a")
    text = (tmp_path / "a" / MANIFEST).read_text().replace('"kind": "train"', '"kind": "pack"')
    (tmp_path / "a" / MANIFEST).write_text(text)
    with pytest.raises(SpecError, match="a is a run of pack, not of training; only those have steps"):
        side("a", tmp_path / "a")


def test_a_rebuilt_piece_is_held_against_the_run(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")

    def again(name: str, **changes: tuple[int, dict[str, object]]) -> Draft:
        made = run(tmp_path / name, **changes)
        steps = [step for number, step in made.steps().items() if number > 2]
        (made.folder / LOG).write_bytes(lines(tuple(steps)))
        return Draft(made.folder)

    assert compared(whole, again("same"), 2, 6).equal
    other = compared(whole, again("log", log=(5, {"loss_hex": "x"})), 2, 6)
    assert (other.equal, other.differing_step, other.steps) == (False, 5, 4)
    tensors = compared(whole, again("tensors", weights=(4, {"a": np.zeros(3)})), 2, 6)
    assert (tensors.differing_step, tensors.differing_tensors) == (0, ("step-4/model/a",))


@pytest.mark.parametrize("text", ["step-0", "0..x", "step-0..step-3", "step-4..step-2", "step-2..step-2", ".."])
def test_an_interval_lies_between_kept_checkpoints(text: str) -> None:
    assert interval_named("step-0..step-4", toy.plan()) == (0, 4)
    with pytest.raises(SpecError, match="kept checkpoints are step-0, step-2, step-4, step-6"):
        interval_named(text, toy.plan())


def test_samples_are_drawn_by_the_digest_of_the_run(tmp_path: Path) -> None:
    manifest = run(tmp_path / "a").manifest
    assert drawn(manifest, toy.plan(), 5) == [(0, 2), (2, 4), (4, 6)]
    one = drawn(manifest, toy.plan(), 1)
    assert one == drawn(manifest, toy.plan(), 1)
    assert {pair for n in "0123456789abcdef" for pair in drawn(manifest.replace(content=n * 64), toy.plan(), 1)} == {
        (0, 2), (2, 4), (4, 6),
    }  # fmt: skip
