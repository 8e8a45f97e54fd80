"""A published model on a published benchmark: the spec's own stages against lm-eval alone, to the last digit."""

import json
import os
from pathlib import Path
from typing import Any

import lm_eval
import pytest
import torch
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from engine.artifacts.placement import Placement
from engine.artifacts.read import Inputs, read_tensors
from engine.compile.lower import lower
from engine.evaluate.lm_eval.offline import configuration, items_of
from engine.evaluate.lm_eval.spec import LmEvalPlan, OfflineTask
from engine.evaluate.run import run_lm_eval
from engine.experiment import Experiment
from engine.models.huggingface import export_hf
from engine.models.pretrained.spec import Import
from engine.models.run import run_import
from engine.spec.load import load
from tests.conftest import ROOT
from tests.data.built import Built, build

SPECS = ROOT / "specs"


@pytest.fixture(name="place", scope="module")
def _place(tmp_path_factory: pytest.TempPathFactory) -> Placement:
    folders = os.environ.get("FACSIMILE_MIRRORS", "")
    if not folders:
        pytest.skip("no mirror holds ARC; set FACSIMILE_MIRRORS")
    root = tmp_path_factory.mktemp("smollm2")
    mirrors = tuple(Path(folder).resolve() for folder in folders.split(os.pathsep) if folder)
    return Placement(root, root / "artifacts", ROOT / "data" / "sources", None, mirrors)


@pytest.mark.slow
def test_300_items_of_arc_are_those_of_a_bare_call_at_batch_sizes_1_and_8(place: Placement) -> None:
    stages = lower(load(SPECS / "quickstart" / "smollm2.yaml", Experiment, SPECS).value)
    taken, plan = stages["smollm2"], stages["arc"]
    assert isinstance(taken, Import) and isinstance(plan, LmEvalPlan)
    model = build(place.root, "smollm2", lambda out: run_import(taken, Inputs({}), out, place))
    inputs = Inputs({f"smollm2@{name}": (output,) for name, output in model.outputs.items()})
    plan = plan.replace(numerics={"threads": torch.get_num_threads()})

    def run(batch_rows: int) -> Built:
        stage = plan.replace(batch_rows=batch_rows)
        return build(place.root, f"arc-{batch_rows}", lambda out: run_lm_eval(stage, inputs, out, place))

    eight, one = run(8), run(1)
    assert one.digests() == eight.digests()
    found: Any = json.loads((one.outputs["results"].folder / "results.json").read_text())
    weights, tokenizer = model.outputs["weights"].folder, model.outputs["tokenizer"].folder
    export_hf(read_tensors(weights, "model"), plan.model, tokenizer, place.root / "hf")
    (task,) = plan.tasks
    assert isinstance(task, OfflineTask) and task.limit == 300
    config = configuration(task, items_of(task, place))
    for batch_size in (1, 8):
        theirs = HFLM(pretrained=str(place.root / "hf"), dtype="float32", device="cpu", batch_size=batch_size)
        said = lm_eval.simple_evaluate(model=theirs, tasks=[config], task_manager=TaskManager(include_defaults=False))
        expected = {key.removesuffix(",none"): value for key, value in said["results"][task.name].items() if "," in key}
        assert found["tasks"][task.name]["metrics"] == expected
