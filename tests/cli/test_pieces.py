"""A piece of a finished training run is trained again from one of its checkpoints, in another layout too."""

import os
import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import call, edit
from tests.conftest import ROOT


def facsimile(root: Path, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """A call in a process of its own: training wants a closed environment."""
    command = [sys.executable, "-m", "engine", *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)


def test_pieces_of_a_run_are_equal_and_runs_of_two_levels_part(built: Path) -> None:
    spec = built / "specs" / "toy" / "toy.yaml"
    edit(spec, "determinism: repeat", "determinism: regroup")
    assert call(built, "compile").code == 0
    recipe = call(built, "run", "toy", "train").err.split("has --recipe ")[1].split()[0]
    done = facsimile(built, "run", "toy", "train", "--recipe", recipe, FACSIMILE_LAYOUT="world=2,zero=2")
    assert done.returncode == 0, done.stderr
    piece = facsimile(built, "verify", "toy/train", "--interval", "step-2..step-4")
    assert piece.returncode == 0, piece.stderr
    assert piece.stdout.splitlines()[-2:] == ["step-2..step-4  2      equal", "toy/train: 1 of 1 intervals equal"]
    assert call(built, "bisect", "toy/train", "toy/train").out.splitlines()[1].startswith("equal: ")
    assert "1 of 1 intervals equal" in facsimile(built, "verify", "toy/train", "--sample", "1", "--built-rows").stdout


REFUSALS = {
    ("verify", "--interval", "step-0..step-2"): "--interval and --sample want the RUN",
    ("verify", "toy/rows", "--sample", "1"): "toy/rows is no training run; toy has train, resumed",
    ("bisect", "toy/train", "toy/train"): "toy/train is not built; build it, or name the folder of a finished run",
    ("bisect", "toy/rows", "toy/rows"): "toy/rows is a run of pack, not of training; only those have steps",
}


def test_a_wrong_word_is_refused(built: Path) -> None:
    for words, message in REFUSALS.items():
        said = call(built, *words)
        assert said.code in (1, 2), words
        assert message in said.err, words


def test_a_layout_that_is_none_is_refused(built: Path) -> None:
    for text, message in {
        "world=0": "FACSIMILE_LAYOUT='world=0': world: Input should be greater than or equal to 1",
        "zero=5": "FACSIMILE_LAYOUT='zero=5': zero: Input should be 0, 1, 2 or 3",
        "ranks=2": "write for instance world=2,zero=1 (there are world, zero, activations, bucket_elements)",
    }.items():
        said = call(built, "plan", "toy", FACSIMILE_LAYOUT=text)
        assert (said.code, message in said.err) == (2, True), said.err
