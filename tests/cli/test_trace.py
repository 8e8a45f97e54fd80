"""`trace` tells what a run has read: by its own manifest and log, never by rows that were built since."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from engine.data import provenance
from tests.cli.conftest import build, call, edit
from tests.cli.trained import train

STEP = ("trace", "toy/train", "--step", "3")


@pytest.fixture
def trained(built: Path) -> Path:
    train(built)
    return built


def test_before_the_run_is_built_the_answer_is_a_forecast(built: Path) -> None:
    text, data = call(built, *STEP), call(built, *STEP, "--json").json
    first = "forecast: toy/train is not built; by the plan and the rows as they are now"
    assert text.out.splitlines()[0] == first
    assert data["forecast"] is True
    document = data["rows"][0]["segments"][0]["document"]
    back = ("trace", "toy/train", "--document", document)
    assert call(built, *back).out.splitlines()[0] == first
    assert call(built, *back, "--json").json["forecast"] is True
    train(built)
    assert call(built, *STEP).out == text.out.partition("\n")[2]
    assert call(built, *STEP, "--json").json == {**data, "forecast": False}
    assert call(built, *back, "--json").json["forecast"] is False


def test_a_built_run_tells_what_it_read_whatever_its_spec_says_by_now(trained: Path) -> None:
    before = call(trained, *STEP).out
    edit(trained / "specs" / "toy" / "toy.yaml", "notes: 2}}\n    seed: 1", "notes: 2}}\n    seed: 2")
    assert call(trained, *STEP).out == before
    (trained / "specs" / "toy" / "toy.yaml").write_text("not: [a spec")
    assert call(trained, *STEP).out == before


def test_rows_that_were_built_since_are_refused(trained: Path) -> None:
    edit(trained / "specs" / "toy" / "toy.yaml", "notes: 2}}\n    seed: 1", "notes: 2}}\n    seed: 2")
    build(trained, "toy", "rows")
    for words in (STEP, ("trace", "toy/train", "--document", "0" * 32)):
        done = call(trained, *words)
        assert (done.code, done.out) == (1, "")
        assert "error: toy/rows was built again since toy/train read it (recipe " in done.err
        assert "build toy/train again (dvc repro toy-train), or get the old one back" in done.err


def test_documents_that_were_built_since_are_refused(trained: Path) -> None:
    edit(trained / "specs" / "toy" / "toy.yaml", "heldout: 0.1", "heldout: 0.2")
    build(trained, "toy", "split")
    done = call(trained, *STEP)
    assert (done.code, done.out) == (1, "")
    assert "error: toy/split was built again since toy/train read it (recipe " in done.err
    shutil.rmtree(trained / "data" / "artifacts" / "toy" / "split")
    assert "toy/split, which toy/train read, is gone" in call(trained, *STEP).err


def test_a_batch_that_the_log_does_not_know_is_refused(built: Path) -> None:
    train(built, wrong=3)
    assert call(built, "trace", "toy/train", "--step", "2").code == 0
    done = call(built, *STEP)
    assert (done.code, done.out) == (1, "")
    assert "toy/train did not read at step 3 what toy/rows gives, by the batch in its log" in done.err


def test_a_step_that_was_never_logged_is_refused(trained: Path) -> None:
    log = trained / "data" / "artifacts" / "toy" / "train" / "log" / "steps.jsonl"
    log.write_text("".join(line for line in log.read_text().splitlines(True) if json.loads(line)["step"] < 3))
    assert call(trained, *STEP).code == 1
    assert call(trained, "trace", "toy/train", "--step", "2").code == 0


def test_all_rows_of_a_step_are_found_in_one_lookup(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    searched, find = [], provenance.find

    def counted(folder: Path, *rest: object) -> object:
        searched.append(folder.name)
        return find(folder, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(provenance, "find", counted)
    rows = call(trained, *STEP, "--json").json["rows"]
    assert searched == ["provenance", "train"]
    assert rows[2] == call(trained, *STEP, "--row", "2", "--json").json["rows"][0]


DOCUMENT = ("trace", "--document")


def seen_from(root: Path, stage: str, step: int) -> str:
    """A document that a stage reads at a step."""
    segments = call(root, "trace", f"toy/{stage}", "--step", str(step), "--json").json["rows"][0]["segments"]
    return str(segments[0]["document"])


def test_every_checkpoint_that_has_seen_a_document(trained: Path) -> None:
    train(trained, "resumed")
    document = seen_from(trained, "train", 3)
    data = call(trained, *DOCUMENT, document, "--json").json
    steps = call(trained, "trace", "toy/train", "--document", document, "--json").json["steps"]
    first = steps[0]["step"]
    runs = {run["run"]: run for run in data["runs"]}
    assert [[run, *rest] for run, *rest in runs["toy/train"]["steps"]] == [
        ["toy/train", item["step"], item["row"]] for item in steps
    ]
    assert runs["toy/train"]["checkpoints"] == [f"toy/train@step-{n}" for n in (0, 2, 4, 6, 8) if n >= first]
    assert runs["toy/resumed"]["checkpoints"] == [f"toy/resumed@step-{n}" for n in (4, 6, 8)]
    assert data["checkpoints"] == [*runs["toy/resumed"]["checkpoints"], *runs["toy/train"]["checkpoints"]]
    assert call(trained, "trace", "toy", "--document", document[:12], "--json").json == data


def test_a_run_that_goes_on_has_seen_what_was_seen_before_it(trained: Path) -> None:
    train(trained, "resumed")
    steps = {step: seen_from(trained, "train", step) for step in (1, 2, 3, 4)}
    told = call(trained, "trace", "toy/resumed", "--document", steps[1], "--json").json
    before = [item["step"] for item in told["before"]]
    assert before and max(before) <= 4 and {item["run"] for item in told["before"]} == {"toy/train"}
    assert min([5, *(item["step"] for item in told["steps"])]) == 5
    assert told["checkpoints"] == ["toy/resumed@step-4", "toy/resumed@step-6", "toy/resumed@step-8"]
    assert (
        "before it began, first at step 1 of toy/train"
        in call(trained, "trace", "toy/resumed", *DOCUMENT[1:], steps[1]).out
    )


def test_a_document_that_no_rows_have_was_seen_by_none(trained: Path) -> None:
    dropped = pq.read_table(trained / "data/artifacts/toy/unique/dropped").column("id")[0].as_py()
    said = call(trained, *DOCUMENT, dropped)
    assert (said.code, said.out) == (0, f"document {dropped}: 0 checkpoints of 0 training runs have seen it\n")


def test_nobody_and_nothing_are_told_apart(trained: Path) -> None:
    unknown = call(trained, *DOCUMENT, "f" * 32)
    assert unknown.code == 2
    assert f"has no document {'f' * 32}" in unknown.err and "; nearest: f" in unknown.err
    assert "no experiment 'toi'" in call(trained, "trace", "toi", *DOCUMENT[1:], "f" * 32).err
    bare = call(trained, "trace", "--step", "1")
    assert (bare.code, "--step wants the RUN" in bare.err) == (2, True)


def test_a_run_that_cannot_tell_any_more_is_named(trained: Path) -> None:
    document = seen_from(trained, "train", 3)
    edit(trained / "specs" / "toy" / "toy.yaml", "notes: 2}}\n    seed: 1", "notes: 2}}\n    seed: 2")
    build(trained, "toy", "rows")
    said = call(trained, *DOCUMENT, document)
    assert said.code == 1
    assert "not known: toy/rows was built again since toy/train read it" in said.out


def test_rows_in_fill_in_the_middle_form_are_traced_to_their_documents(built: Path) -> None:
    form = """
  fim:
    kind: fim
    rows: rows@rows
    provenance: rows@provenance
    documents: split@train
    tokenizer: tokenizer@model
    domains: [prose]
    rate: 1.0
    seed: 1
  train:
"""
    spec = built / "specs" / "toy" / "toy.yaml"
    edit(spec, "\n  train:\n", form)
    edit(spec, "rows: rows@rows\n    objective", "rows: fim@rows\n    objective")
    edit(spec, "kind: llama, vocabulary: 400", "kind: llama, vocabulary: 404")
    build(built, "toy", "fim")
    row = call(built, *STEP, "--json").json["rows"][0]["segments"]
    document = row[0]["document"]
    assert [segment["first"] for segment in row] == sorted(segment["first"] for segment in row)
    seen = call(built, "trace", "toy/train", "--document", document, "--json").json["steps"]
    assert 3 in [step["step"] for step in seen]
    told = call(built, "why", "toy", document).out
    assert "toy/fim" in told
    done = call(built, "croissant", "toy/fim@rows")
    assert done.code == 0, done.err
