"""A page says of a recorded run whose recipe has changed whether its code or its spec did."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.artifacts.manifest import recipe_digest
from engine.artifacts.recorded import Recorded, RecordedData, RecordedToolchain, RecordedTrained, recorded_text
from engine.report.reproduce import render
from engine.report.since import changed_since
from engine.spec.canonical import digest
from engine.spec.errors import ArtifactError

A, B, C = (digest(name) for name in "abc")


def runs(code: str = A, proven: str = "", heldout: float = 0.1, trained_by: str = A) -> dict[str, Any]:
    """The golden runs of `split`, and of `train` that reads it."""
    split: dict[str, Any] = {"stage": {"heldout": heldout}, "inputs": {}, "code": {"digest": code}}
    if proven:
        split["code"]["as"] = proven
    split["recipe"] = recipe_digest(split["stage"], {}, proven or code)
    train: dict[str, Any] = {"stage": {"rows": "split@train"}, "inputs": {"split@train": ["split@train"]}}
    train["code"] = {"digest": trained_by}
    train["recipe"] = recipe_digest(train["stage"], {"split@train": (split["recipe"],)}, trained_by)
    return {"split": split, "train": train}


def recorded(known: dict[str, Any], code: bool = True) -> Recorded:
    codes = {name: run["code"]["digest"] if code else "" for name, run in known.items()}
    split = RecordedData(recipe=known["split"]["recipe"], outputs={"train": A}, content=A, code=codes["split"])
    train = RecordedTrained(
        recipe=known["train"]["recipe"], outputs={"log": B}, content=B, metrics={}, code=codes["train"]
    )
    return Recorded(data={"split": split}, trained={C: RecordedToolchain(facts={}, runs={"train": train})})


def plan_file(folder: Path, now: dict[str, Any]) -> Path:
    path = folder / "specs" / "toy" / "toy.plan.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"format": 1, "experiment": "toy", "runs": now}))
    return path


BEFORE = runs()
SPLIT, TRAIN = (BEFORE[name]["recipe"][:12] for name in ("split", "train"))


@pytest.mark.parametrize(
    ("now", "of_split", "of_train"),
    [
        (runs(), "", ""),
        (runs(code=B, proven=A), "", ""),
        (runs(code=B), "code", "code"),
        (runs(heldout=0.2), "spec", "spec"),
        (runs(code=B, heldout=0.2), "code and spec", "code and spec"),
        (runs(trained_by=B), "", "code"),
        (runs(heldout=0.2, trained_by=B), "spec", "code and spec"),
    ],
)
def test_what_changed_is_told_apart(now: dict[str, Any], of_split: str, of_train: str, tmp_path: Path) -> None:
    wanted = {"split": (SPLIT, of_split), "train": (TRAIN, of_train)}
    assert changed_since(plan_file(tmp_path, now), recorded(BEFORE)) == {
        name: f"recorded at recipe {recipe}, {what} changed since" for name, (recipe, what) in wanted.items() if what
    }


def test_an_older_record_cannot_tell(tmp_path: Path) -> None:
    found = changed_since(plan_file(tmp_path, runs(code=B)), recorded(BEFORE, code=False))
    assert found["split"] == f"recorded at recipe {SPLIT}, code or spec changed since"


def test_a_run_that_the_plan_has_no_more_is_a_change_of_the_spec(tmp_path: Path) -> None:
    now = {"train": runs()["train"]}
    assert set(changed_since(plan_file(tmp_path, now), recorded(BEFORE))) == {"split"}


def test_a_damaged_plan_is_named(tmp_path: Path) -> None:
    path = plan_file(tmp_path, {})
    path.write_text("{")
    with pytest.raises(ArtifactError, match="is no golden plan; run: facsimile compile"):
        changed_since(path, recorded(BEFORE))


def test_the_page_says_it(tmp_path: Path) -> None:
    path = plan_file(tmp_path, runs(code=B))
    path.with_name("toy.digests.json").write_text(recorded_text(recorded(BEFORE)))
    page = render(tmp_path)
    assert f"| split | *recorded at recipe {SPLIT}, code changed since* |" in page
    assert page.index("### Changed since they were recorded") < page.index("### Digests that hold")
    plan_file(tmp_path, runs(code=B, proven=A))
    assert "Changed since" not in render(tmp_path)


def test_many_cells_share_a_row(tmp_path: Path) -> None:
    cells = {f"split[seed={seed}]": runs()["split"] for seed in range(13)}
    record = recorded(BEFORE).data["split"]
    path = plan_file(tmp_path, {name: runs(code=B)["split"] for name in cells})
    path.with_name("toy.digests.json").write_text(recorded_text(Recorded(data=dict.fromkeys(cells, record))))
    assert "| split, 13 cells | *recorded at other recipes, code changed since* |" in render(tmp_path)
