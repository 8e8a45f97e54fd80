"""`export` refuses what is no checkpoint, and gives a folder that transformers loads with equal logits."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import call
from tests.conftest import Cli

KEPT = "write toy/train@step-N, where N is one of 0, 2, 4, 6, 8"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("toy/train", "x"), 2, f"toy/train is no checkpoint; {KEPT}\n"),
        (("toy/train@log", "x"), 2, f"toy/train@log is no checkpoint; {KEPT}\n"),
        (("toy/rows@rows", "x"), 2, f"toy/rows@rows is no checkpoint; {KEPT} or toy/resumed@step-N, where"),
        (("cells/corpus", "x"), 2, "cells/corpus is no checkpoint; cells trains nothing"),
        (("toy/train@step-3", "x"), 2, "toy/train has no output 'step-3'; it has step-0"),
        (("toy/train@final", "specs"), 2, "specs is there already; name a new folder"),
        (("toy/train@final", "no/x"), 2, "no/x cannot be made: there is no no; name a new folder"),
        (("toy/train@final", "x"), 1, "toy/train is not built; build it first: dvc repro toy-train"),
        (("toy/train@final", "x", "--format", "gguf"), 2, "argument --format: invalid choice: 'gguf'"),
    ],
)
def test_what_cannot_be_exported_is_told(built_once: Path, words: tuple[str, ...], code: int, told: str) -> None:
    done = call(built_once, "export", *words)
    assert (done.code, done.out) == (code, "")
    assert told in done.err
    assert not (built_once / "x").exists()


@pytest.mark.slow
def test_an_exported_checkpoint_has_equal_logits_in_transformers(built: Path, cli: Callable[[Path], Cli]) -> None:
    import torch
    from transformers import LlamaForCausalLM

    from engine.artifacts.read import read_tensors
    from engine.cli.project import Project
    from engine.models.build import build
    from engine.train.spec import TrainPlan

    recipe = call(built, "run", "toy", "train").err.split("has --recipe ")[1].split()[0]
    cli(built)("run", "toy", "train", "--recipe", recipe)
    text = cli(built)("export", "toy/train@final", "exported")
    assert text.startswith("wrote exported from toy/train@step-8, content ")
    stage = Project(built).plan("toy").runs["train"].stage
    assert isinstance(stage, TrainPlan)
    model = build(stage.model, stage.kernels)
    folder = built / "data" / "artifacts" / "toy" / "train" / "step-8"
    weights = {name: torch.from_numpy(np.array(value)) for name, value in read_tensors(folder, "model").items()}
    model.load_state_dict(weights)
    ids = torch.arange(64).reshape(2, 32) % 400
    theirs = LlamaForCausalLM.from_pretrained(built / "exported")
    with torch.no_grad():
        assert (model(ids) - theirs(ids).logits).abs().max() < 1e-5
    done = call(built, "export", "toy/train@final", "packed", "--format", "packed")
    assert (done.code, "this llama model has no 1-bit matrices" in done.err) == (1, True)
    assert not (built / "packed").exists()
    flipped = built / "data" / "artifacts" / "toy" / "train" / "step-8" / "model.safetensors"
    data = bytearray(flipped.read_bytes())
    data[-1] ^= 1
    flipped.write_bytes(bytes(data))
    shutil.rmtree(built / "exported")
    done = call(built, "export", "toy/train@final", "exported")
    assert (done.code, "facsimile audit toy/train@step-8" in done.err) == (1, True)
    assert not (built / "exported").exists()
