"""Layouts: a field of stages under `repeat`, advice that no recipe holds under `regroup`."""

from pathlib import Path

import pytest

import engine
from engine.compile.code import CodeIndex
from engine.compile.plan import Plan, compile_spec, deepspeed_of, golden
from engine.spec.layout import Layout
from tests.compile.test_check import broken
from tests.conftest import TOY

REGROUP = ("determinism: repeat", "determinism: regroup")
BATCH = "batch: {rows: 4, micro_rows: 2}"
LAID_OUT = "stages:\n  corpus:"
KEEP = "checkpoints: {every_steps: 2}"

CASES = {
    "a layout of a stage": (
        REGROUP, (BATCH, f"{BATCH}\n    layout: {{world: 2}}"),
        "stages.train.layout: under `regroup` no layout can change a bit, so a stage has none; write",
    ),
    "threads": (
        REGROUP, (LAID_OUT, f"numerics: {{threads: 2}}\n{LAID_OUT}"),
        "numerics.threads: under `regroup` a rank has one thread",
    ),
    "a layout by name under repeat": (
        (LAID_OUT, f"layouts: {{train: {{world: 2}}}}\n{LAID_OUT}"),
        "layouts.train: under `repeat` a layout changes bits; write it as stages.train.layout",
    ),
    "a layout of no training": (
        REGROUP, (LAID_OUT, f"layouts: {{rows: {{world: 2}}}}\n{LAID_OUT}"),
        "layouts.rows: there is no training stage 'rows'; there are train, resumed",
    ),
    "a horizon": (
        (BATCH, f"{BATCH}\n    horizon_steps: 3"),
        "stages.train.horizon_steps: the schedule ends before the 8 steps of the run",
    ),
    "retention": (
        (KEEP, "checkpoints: {every_steps: 2, retain_every: 3}"),
        "stages.train.checkpoints.retain_every: 3 is no multiple of every_steps, 2",
    ),
    "a stage from weights of another model": (
        ("start: {kind: checkpoint, checkpoint: train@step-4}", "start: {kind: weights, checkpoint: train@step-4}"),
        ("layers: 2", "layers: 1"),
        "start.checkpoint: train@step-4 is of a model with other fields; only context and rope_base may differ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_broken_rule_is_found(case: str, tmp_path: Path) -> None:
    *edits, message = CASES[case]
    found = broken(tmp_path, *edits)  # type: ignore[arg-type]
    assert any(message in problem for problem in found), found


def compiled(tmp_path: Path, *edits: tuple[str, str]) -> Plan:
    text = (TOY / "specs/toy/toy.yaml").read_text()
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "specs" / "toy" / "toy.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return compile_spec(path, tmp_path / "specs", CodeIndex(Path(engine.__file__).parent))


def test_no_recipe_holds_a_layout_under_regroup(tmp_path: Path) -> None:
    plain = compiled(tmp_path / "plain", REGROUP)
    wide = (LAID_OUT, f"layouts: {{train: {{world: 3, zero: 2}}}}\n{LAID_OUT}")
    laid_out = compiled(tmp_path / "wide", REGROUP, wide)
    assert {n: r.recipe for n, r in plain.runs.items()} == {n: r.recipe for n, r in laid_out.runs.items()}
    assert (plain.runs["train"].layout, laid_out.runs["train"].layout) == (Layout(), Layout(world=3, zero=2))
    run = golden(laid_out)["runs"]["train"]  # type: ignore[index, call-overload]
    assert "layout" not in run["stage"]
    assert run["layout"] == {"world": 3, "zero": 2}
    assert laid_out.runs["train"].estimate.memory != plain.runs["train"].estimate.memory


def test_the_deepspeed_json_follows_from_the_layout(tmp_path: Path) -> None:
    wide = (LAID_OUT, f"layouts: {{train: {{world: 3, zero: 2}}}}\n{LAID_OUT}")
    config = deepspeed_of(compiled(tmp_path, REGROUP, wide).runs["train"])
    assert config["gradient_accumulation_steps"] == 1
    assert config["train_batch_size"] == 2 * 3  # three places for two micro-batches of two rows: one rank is idle


def test_under_repeat_a_layout_changes_the_recipe(tmp_path: Path) -> None:
    plain = compiled(tmp_path / "plain")
    wide = compiled(tmp_path / "wide", (BATCH, f"{BATCH}\n    layout: {{world: 2}}"))
    assert plain.runs["train"].recipe != wide.runs["train"].recipe
