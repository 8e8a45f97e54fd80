"""`plan` says what would run and why, with costs and the DeepSpeed JSON."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from engine.cli.plan import HEADER, duration
from tests.cli.conftest import call, edit
from tests.conftest import ROOT


def states(root: Path, experiment: str = "toy") -> dict[str, tuple[str, str]]:
    found = call(root, "plan", experiment, "--json").json
    return {run["run"]: (run["state"], run["why"]) for run in found["runs"]}


def test_what_is_built_stays_and_the_rest_would_run(built_once: Path) -> None:
    found = states(built_once)
    assert {run: state for run, (state, _) in found.items()} == {
        **dict.fromkeys(("corpus", "clean", "unique", "split", "tokenizer", "rows"), "built"),
        **dict.fromkeys(("train", "resumed", "perplexity", "claims"), "would run"),
    }
    assert found["train"] == ("would run", "not built")


def test_the_text_and_the_json_have_the_same_facts(built_once: Path) -> None:
    text, data = call(built_once, "plan", "toy"), call(built_once, "plan", "toy", "--json").json
    header, _, *lines, last = text.out.splitlines()
    assert tuple(header.split()) == HEADER
    for line, run in zip(lines, data["runs"], strict=True):
        assert re.split("  +", line)[:4] == [run["run"], run["kind"], run["state"], run["recipe"][:12]]
    train = next(run for run in data["runs"] if run["run"] == "train")
    assert (train["estimate"]["parameters"], train["estimate"]["tokens"]) == (31392, 1024)
    assert re.search(r"^train .* 31,392   1,024  1\.98e\+08   1 MiB  < 0\.1 s  not built$", text.out, re.MULTILINE)
    assert data["would_run"] == ["train", "resumed", "perplexity", "claims"]
    assert last.startswith("4 of 10 would run: 2.97e+08 FLOPs, < 0.1 s at 5e+10 a second")


def test_each_reason_is_told(built: Path) -> None:
    spec = built / "specs" / "toy" / "toy.yaml"
    edit(spec, "chars: 40", "chars: 41")
    found = states(built)
    assert found["corpus"] == ("built", "")
    assert found["clean"] == ("would run", "spec changed since it was built")
    assert found["unique"] == ("would run", "inputs changed since it was built")
    edit(spec, "chars: 41", "chars: 40")
    artifacts = built / "data" / "artifacts" / "toy"
    (artifacts / "clean" / "dropped" / "part-00000.parquet").unlink()
    (artifacts / "split" / "manifest.json").write_text("{}")
    found = states(built)
    assert found["clean"] == ("would run", "files are missing")
    assert found["unique"] == ("would run", "its input clean would")
    assert "manifest.json is damaged" in found["split"][1]


def test_the_deepspeed_json_of_a_training_stage(toy: Path) -> None:
    text, data = call(toy, "plan", "toy", "--deepspeed", "train"), call(toy, "plan", "toy", "--json").json
    train = next(run for run in data["runs"] if run["run"] == "train")
    assert json.loads(text.out) == train["deepspeed"]
    assert train["deepspeed"]["train_micro_batch_size_per_gpu"] == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("tyo",), "no experiment 'tyo' in {root}/specs; there are toy (did you mean 'toy'?)"),
        (("specs/toy/nosuch.yaml",), "specs/toy/nosuch.yaml: no such spec below {root}/specs"),
        (("toy", "--deepspeed", "trian"), "toy has no stage 'trian'; it has corpus, clean"),
        (("toy", "--deepspeed", "rows"), "toy/rows is no training stage; toy has train, resumed"),
    ],
)
def test_wrong_names_are_told_with_the_right_ones(toy: Path, words: tuple[str, ...], told: str) -> None:
    done = call(toy, "plan", *words)
    assert (done.code, done.out) == (2, "")
    assert told.format(root=toy) in done.err


def test_a_spec_goes_by_its_path_too(toy: Path) -> None:
    assert call(toy, "plan", "specs/toy/toy.yaml").out == call(toy, "plan", "toy").out


def test_cells_of_a_matrix_are_runs_of_their_own(built_once: Path) -> None:
    found = states(built_once, "cells")
    assert list(found)[1:] == [f"split[heldout={h},seed={s}]" for h in ("0.1", "0.2") for s in (1, 2)]
    assert set(found.values()) == {("built", "")}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.01, "< 0.1 s"), (3, "3.0 s"), (119, "119.0 s"), (120, "2.0 min"), (9000, "2.5 h"), (200000, "2.3 d")],
)
def test_a_time_is_told_in_the_unit_that_suits_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_downloaded_snapshot_is_pinned_file_by_file(tmp_path: Path) -> None:
    snapshot = tmp_path / ("c" * 40)
    snapshot.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors", "README.md"):
        (snapshot / name).write_text(name)
    found = call(ROOT, "plan", "fbi-llm-7b", "--pin", str(snapshot)).out
    text = (ROOT / "specs/fbi_llm/fbi-llm-7b.yaml").read_text()
    begin, end = text.index("    source:"), text.index("    tokenizer:")
    project = tmp_path / "specs" / "fbi_llm"
    project.mkdir(parents=True)
    (project / "tasks.yaml").write_text((ROOT / "specs/fbi_llm/tasks.yaml").read_text())
    (project / "fbi-llm-7b.yaml").write_text(text[:begin] + found + text[end:])
    state = call(tmp_path, "plan", "fbi-llm-7b").out.partition("device-hours")[0].splitlines()[-1]
    assert re.fullmatch(r"ready, not run: [0-9.,]+ ", state)
    assert hashlib.sha256(b"config.json").hexdigest() in found and "README" not in found


def test_a_folder_that_is_no_whole_snapshot_is_not_pinned(tmp_path: Path) -> None:
    assert "is no snapshot" in call(ROOT, "plan", "fbi-llm-7b", "--pin", str(tmp_path)).err
    snapshot = tmp_path / ("c" * 40)
    snapshot.mkdir()
    assert "cannot be imported" in call(ROOT, "plan", "fbi-llm-7b", "--pin", str(snapshot)).err
    (snapshot / "model.safetensors").write_text("")
    assert "config.json is missing" in call(ROOT, "plan", "fbi-llm-7b", "--pin", str(snapshot)).err
