"""The experiments on published models: they compile, count what was published, and stand apart from what runs here."""

from functools import cache
from pathlib import Path

import pytest
import torch

from engine.cli.project import Project
from engine.compile.launch import last_stages, sbatch
from engine.compile.plan import Plan
from engine.compile.state import device_hours, state_line, unknown
from engine.kernels.spec import Kernels
from engine.models.build import build
from engine.models.pretrained.spec import Import

ROOT = Path(__file__).parents[2]
COUNTS = {
    "k2-65b": 65_286_184_960,
    "k2-65b-chat": 65_286_184_960,
    "k2-65b-checkpoints": 65_286_184_960,
    "k2-65b-stage1": 65_286_184_960,
    "slimpajama-dc-6": 1_311_586_288,
    "slimpajama-dc-others": 1_311_586_288,
    "fbi-llm-130m": 134_105_856,
    "fbi-llm-1.3b": 1_364_297_728,
    "fbi-llm-7b": 6_738_415_616,
}
ROUNDED = {"amber-7b": 6.7, "crystal-7b": 6.58}  # as published, in billions


HERE = Project(ROOT)


@cache
def every() -> list[Plan]:
    return HERE.plans()


@cache
def plans() -> dict[str, Plan]:
    return {plan.name: plan for plan in every() if plan.experiment.scale != "proxy"}


def published(plan: Plan) -> set[int]:
    return {cell.estimate.parameters - cell.estimate.scales for cell in plan.cells("weights")}


@pytest.mark.parametrize("name", COUNTS)
def test_a_plan_has_the_published_count(name: str) -> None:
    assert published(plans()[name]) == {COUNTS[name]}


@pytest.mark.parametrize("name", ROUNDED)
def test_a_plan_rounds_to_the_published_count(name: str) -> None:
    (count,) = published(plans()[name])
    assert count / 1e9 == pytest.approx(ROUNDED[name], abs=0.05)


def test_every_count_is_that_of_the_module() -> None:
    for plan in plans().values():
        cell = plan.cells("weights")[0]
        assert isinstance(cell.stage, Import)
        with torch.device("meta"):
            module = build(cell.stage.model, Kernels())
        assert cell.estimate.parameters == sum(weight.numel() for weight in module.parameters()), plan.name


def test_the_root_pipeline_has_none_of_them() -> None:
    files = HERE.generated(every())
    root = files[ROOT / "dvc.yaml"]
    for name, plan in plans().items():
        own = files[plan.files[0].parent / "dvc.yaml"]
        assert f" {name}-weights:" in own and f" {name}-weights:" not in root


def test_a_launch_script_names_the_last_stages_and_places_nothing() -> None:
    plan = plans()["fbi-llm-7b"]
    assert last_stages(plan) == ("here", "elsewhere", "wikitext2")
    lines = sbatch(plan, ROOT).splitlines()
    assert lines[0] == "#!/bin/bash"
    assert lines[-1] == "  specs/fbi_llm/dvc.yaml:fbi-llm-7b-wikitext2"
    assert not any(word in line for line in lines for word in ("--partition", "--account", "--time", "--gres"))
    assert "#SBATCH --mem=33G" in lines


def test_the_state_is_told_with_what_it_leaves_out() -> None:
    plan = plans()["fbi-llm-7b"]
    assert unknown(plan) == ("the tokens of text@documents",)
    hours = f"{device_hours(plan):,.1f}"
    assert state_line(plan).startswith(f"ready, not run: at least {hours} device-hours (A100 80 GB at 0.4 of its peak)")
    assert state_line(plans()["k2-65b"]).startswith("ready, not run: 5")
