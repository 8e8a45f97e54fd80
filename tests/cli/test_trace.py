"""`trace` tells what a run has read: by its own manifest and log, never by rows that were built since."""

import json
import shutil
from pathlib import Path

import pytest

from engine.artifacts.store import Store
from engine.compile.plan import compile_spec
from engine.data import provenance
from engine.run import make_manifest, open_inputs
from engine.train.data import Rows, batch_digest
from engine.train.spec import TrainPlan
from engine.train.steplog import Step, lines
from tests.cli.conftest import build, call, edit, shared_index

STEP = ("trace", "toy/train", "--step", "3")


def train(root: Path, wrong: int = 0) -> None:
    """An artifact as a training run leaves it, but for its weights; one step may log a batch that was not read."""
    plan = compile_spec(root / "specs/toy/toy.yaml", root / "specs", shared_index(Path(provenance.__file__).parents[1]))
    planned, store = plan.runs["train"], Store(root / "data" / "artifacts")
    assert isinstance(planned.stage, TrainPlan)
    inputs = open_inputs(plan, planned, store)
    rows = Rows(inputs.one("rows@rows").folder, planned.stage.batch.rows)
    with store.begin("toy/train", planned.recipe, False) as draft:
        for step in planned.stage.kept_steps():
            draft.json(f"step-{step}", "state.json", {"step": step})
            draft.close(f"step-{step}")
        with draft.file("log", "steps.jsonl") as log:
            log.write(lines(tuple(logged(rows, step, wrong) for step in range(1, planned.stage.steps + 1))))
        draft.close("log")
        store.commit(draft, make_manifest("toy/train", planned, inputs, draft, {}))


def logged(rows: Rows, step: int, wrong: int) -> Step:
    batch = batch_digest(rows.batch(step + (step == wrong)))
    return Step(
        step=step, loss=1.0, loss_hex="", grad_norm=1.0, grad_norm_hex="", lr=0.1, rows_seen=4 * step, batch=batch
    )


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
    edit(trained / "specs" / "toy" / "toy.yaml", "shuffle_seed: 1", "shuffle_seed: 2")
    assert call(trained, *STEP).out == before
    (trained / "specs" / "toy" / "toy.yaml").write_text("not: [a spec")
    assert call(trained, *STEP).out == before


def test_rows_that_were_built_since_are_refused(trained: Path) -> None:
    edit(trained / "specs" / "toy" / "toy.yaml", "shuffle_seed: 1", "shuffle_seed: 2")
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
