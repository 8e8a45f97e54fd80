"""Predictions from two golden plans: exactly the runs whose recipe moves, each with its reason."""

from typing import Any

from engine.compile.predict import predict
from engine.spec.canonical import digest


def plan(**runs: tuple[str, dict[str, Any], dict[str, str], list[str]]) -> dict[str, Any]:
    """A golden plan of (recipe, stage, definitions, inputs) by run."""
    return {
        "runs": {
            name: {
                "recipe": recipe,
                "stage": stage,
                "code": {"digest": digest(code), "definitions": code},
                "inputs": {"ref": inputs},
            }
            for name, (recipe, stage, code, inputs) in runs.items()
        }
    }


OLD = plan(
    a=("1", {"chars": 40}, {"engine.x": "11"}, []),
    b=("2", {"k": 1}, {"engine.y": "22"}, ["a@documents"]),
    c=("3", {"k": 1}, {"engine.z": "33"}, ["b@rows"]),
    d=("4", {"k": 1}, {"engine.z": "33"}, []),
)


def test_a_changed_field_moves_the_run_and_all_below_it() -> None:
    new = plan(
        a=("9", {"chars": 41}, {"engine.x": "11"}, []),
        b=("8", {"k": 1}, {"engine.y": "22"}, ["a@documents"]),
        c=("7", {"k": 1}, {"engine.z": "33"}, ["b@rows"]),
        d=("4", {"k": 1}, {"engine.z": "33"}, []),
    )
    found = {p.run: p for p in predict(OLD, new)}
    assert {run: p.status for run, p in found.items()} == {
        "a": "will rebuild",
        "b": "will rebuild",
        "c": "will rebuild",
        "d": "stays",
    }
    assert found["a"].reasons == ("chars: 40 -> 41",)
    assert found["c"].reasons == ("input: b <- a",)


def test_changed_code_is_named() -> None:
    new = {"runs": {**OLD["runs"], "d": plan(d=("5", {"k": 1}, {"engine.z": "44"}, []))["runs"]["d"]}}
    assert predict(OLD, new)[3].reasons == ("code: engine.z",)


def test_code_that_is_proven_equal_is_no_reason() -> None:
    """Its recipe moved with its field alone."""
    d = plan(d=("5", {"k": 2}, {"engine.z": "44"}, []))["runs"]["d"]
    proven = {**d, "code": {**d["code"], "as": OLD["runs"]["d"]["code"]["digest"]}}
    assert predict(OLD, {"runs": {**OLD["runs"], "d": d}})[3].reasons == ("k: 1 -> 2", "code: engine.z")
    assert predict(OLD, {"runs": {**OLD["runs"], "d": proven}})[3].reasons == ("k: 1 -> 2",)


def test_new_and_removed_runs() -> None:
    new = {"runs": {"a": OLD["runs"]["a"], "e": plan(e=("6", {}, {}, []))["runs"]["e"]}}
    assert {p.run: p.status for p in predict(OLD, new)} == {
        "a": "stays",
        "e": "new",
        "b": "removed",
        "c": "removed",
        "d": "removed",
    }
