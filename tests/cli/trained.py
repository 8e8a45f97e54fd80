"""Training runs of the toy experiment as they are left behind, but for their weights."""

from pathlib import Path

import engine
from engine.artifacts.store import Store
from engine.compile.plan import compile_spec
from engine.run import make_manifest, open_inputs
from engine.train.data import Rows, batch_digest
from engine.train.spec import TrainPlan
from engine.train.steplog import Step, lines
from tests.cli.conftest import shared_index


def train(root: Path, stage: str = "train", wrong: int = 0) -> None:
    """An artifact as a training run leaves it, but for its weights; one step may log a batch that was not read."""
    index = shared_index(Path(engine.__file__).parent)
    plan = compile_spec(root / "specs/toy/toy.yaml", root / "specs", index)
    planned, store = plan.runs[stage], Store(root / "data" / "artifacts")
    assert isinstance(planned.stage, TrainPlan)
    inputs, first = open_inputs(plan, planned, store), planned.stage.first_step() + 1
    rows = Rows(inputs.one("rows@rows").folder, planned.stage)
    with store.begin(f"toy/{stage}", planned.recipe, False) as draft:
        for step in planned.stage.kept_steps():
            draft.json(f"step-{step}", "state.json", {"step": step})
            draft.close(f"step-{step}")
        with draft.file("log", "steps.jsonl") as log:
            log.write(lines(tuple(logged(rows, step, wrong) for step in range(first, planned.stage.steps + 1))))
        draft.close("log")
        store.commit(draft, make_manifest(f"toy/{stage}", planned, inputs, draft, {}))


def logged(rows: Rows, step: int, wrong: int) -> Step:
    batch = batch_digest(rows.batch(step + (step == wrong)))
    return Step(
        step=step, loss=1.0, loss_hex="", grad_norm=1.0, grad_norm_hex="", lr=0.1, rows_seen=4 * step, batch=batch
    )
