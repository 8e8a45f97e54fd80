"""Without the libraries of an extra: verbs that need one say how to get it, all others work."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import call
from tests.conftest import ROOT, Cli

LIBRARIES = ("datasets", "deepspeed", "safetensors", "sentencepiece", "tokenizers", "torch", "transformers")
TOLD = (
    "error: {} is not installed; this needs the extra `train`: in the checkout of the engine, "
    'pip install -e ".[train]" (elsewhere: pip install "facsimile-llm[train] @ URL")\n'
)
Bare = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def bare(built: Path, tmp_path: Path, cli: Callable[[Path], Cli]) -> Bare:
    """A command line whose Python finds none of the libraries."""
    for name in LIBRARIES:
        text = f"raise ModuleNotFoundError(\"No module named '{name}'\", name='{name}')\n"
        (tmp_path / "none").mkdir(exist_ok=True)
        (tmp_path / "none" / f"{name}.py").write_text(text)
    return lambda *words: cli(built).run(*words, PYTHONPATH=f"{tmp_path / 'none'}:{ROOT}")


def recipe(built: Path, stage: str) -> str:
    runs = call(built, "plan", "toy", "--json").json["runs"]
    return str(next(run["recipe"] for run in runs if run["run"] == stage))


def test_a_stage_that_needs_an_extra_says_so(bare: Bare, built: Path) -> None:
    done = bare("run", "toy", "train", "--recipe", recipe(built, "train"))
    assert done.returncode == 2, done.stderr
    assert TOLD.format("torch") in done.stderr
    assert "Traceback" not in done.stderr


def test_verbs_that_need_no_extra_work_without_it(bare: Bare) -> None:
    for words in (
        ("compile", "--check"),
        ("plan", "toy"),
        ("audit", "toy/rows@rows"),
        ("lineage", "toy/rows"),
        ("trace", "toy/train", "--step", "1"),
    ):
        done = bare(*words)
        assert (done.returncode, done.stderr) == (0, ""), words


def test_another_missing_module_is_our_fault(monkeypatch: pytest.MonkeyPatch, toy: Path) -> None:
    def broken(_args: object) -> None:
        raise ModuleNotFoundError("No module named 'engine.nosuch'", name="engine.nosuch")

    monkeypatch.setattr("engine.cli.schema.answer", broken)
    done = call(toy, "schema")
    assert done.code == 3
    assert "fault of the engine" in done.err
