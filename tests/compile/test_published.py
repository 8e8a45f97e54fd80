"""The experiments on published models: they compile, count what was published, and stand apart from what runs here."""

import json
from functools import cache
from pathlib import Path

import pytest
import torch

from engine.cli.project import Project
from engine.compile.estimate.device import device_of
from engine.compile.launch import last_stages, sbatch
from engine.compile.lower import lower
from engine.compile.plan import Plan, plan_runs
from engine.compile.state import device_hours, state_line, unknown, wanting
from engine.kernels.spec import Kernels
from engine.models.build import build
from engine.models.pretrained.spec import Import
from engine.models.spec import Model
from engine.spec.canonical import plain

ROOT = Path(__file__).parents[2]
COUNTS = {
    "k2-65b": 65_286_184_960,
    "k2-65b-chat": 65_286_184_960,
    "k2-65b-checkpoints": 65_286_184_960,
    "k2-65b-stage1": 65_286_184_960,
    "k2-spike-1": 65_286_184_960,
    "k2-spike-2": 65_286_184_960,
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
    return {plan.name: plan for plan in every() if plan.experiment.scale == "evaluation"}


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


PINNED = {
    "kind": "hub",
    "repository": "LiqunMa/FBI-LLM-7B",
    "revision": "a" * 40,
    "licence": "MIT",
    "files": [{"path": name, "sha256": "b" * 64} for name in ("config.json", "tokenizer.json", "model.safetensors")],
}


def edited(name: str, **weights: object) -> Plan:
    """The plan of an experiment with other fields of its import."""
    plan = plans()[name]
    stage = plan.experiment.stages["weights"]
    changed = Import.model_validate_json(json.dumps({**plain(stage), **weights}))
    experiment = plan.experiment.replace(stages={**plan.experiment.stages, "weights": changed})
    return Plan(experiment, plan_runs(lower(experiment), HERE.code, device_of("evaluation")), plan.files)


def test_nothing_is_called_ready_whose_weights_cannot_be_imported() -> None:
    for plan in plans().values():
        assert state_line(plan).startswith("not ready: no file of ")
        assert sbatch(plan, ROOT).splitlines()[-1] == "exit 2"
    linear = {"kind": "fbi", "zero": "minus_one"}
    unread = edited("fbi-llm-7b", source=PINNED, model={**plain(model_of("fbi-llm-7b")), "linear": linear})
    assert state_line(unread).startswith("not ready: no layout in which such a llama is published has a reader;")


def model_of(name: str) -> Model:
    stage = plans()[name].cells("weights")[0].stage
    assert isinstance(stage, Import)
    return stage.model


def test_a_launch_script_names_the_last_stages_that_can_run_and_places_nothing() -> None:
    plan = edited("fbi-llm-7b", source=PINNED)
    assert last_stages(plan) == ("here", "wikitext2")
    lines = sbatch(plan, ROOT).splitlines()
    assert lines[0] == "#!/bin/bash"
    assert lines[-1] == "  specs/fbi_llm/dvc.yaml:fbi-llm-7b-wikitext2"
    assert any(line.startswith("echo 'not run: elsewhere, which lacks winogrande, openbookqa,") for line in lines)
    assert not any(word in line for line in lines for word in ("--partition", "--account", "--time", "--gres"))
    assert "#SBATCH --mem=33G" in lines


def test_the_state_is_told_with_its_hours_and_what_they_leave_out() -> None:
    plan = edited("fbi-llm-7b", source=PINNED)
    able = [run for run in plan.runs.values() if run.name != "elsewhere"]
    hours = f"ready, not run: {device_hours(able):,.1f} device-hours (one core); "
    assert state_line(plan).startswith(hours)
    assert state_line(plan).endswith("in elsewhere, which lacks winogrande, openbookqa, wikitext2-raw, ptb, c4")
    wiki = plan.runs["wikitext2"].estimate
    assert (wiki.tokens, wiki.unknown) == (1_255_018 // 4 // 2048 * 2048, ())


def test_benchmarks_are_counted_or_say_what_they_lack() -> None:
    for plan in plans().values():
        assert unknown(plan.runs.values()) == (), plan.name
    assert plans()["k2-65b"].runs["mmlu"].estimate.tokens > 5_000_000
    assert "gsm8k (the train split of its shots)" in wanting(plans()["k2-65b"])
