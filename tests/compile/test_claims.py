"""Claims over cells: references to all values of an axis, and what cannot be compared, found before anything runs."""

from pathlib import Path
from typing import Any

import pytest

from engine.compile.check import problems
from engine.compile.lower import lower
from engine.compile.plan import planned_inputs
from engine.experiment import Experiment
from engine.spec.canonical import canonical
from engine.spec.errors import SpecError
from engine.spec.load import load

SPEC = """\
format: 1
experiment: cells
paper: toy
determinism: repeat
stages:
  corpus:
    kind: ingest
    sources:
      - kind: file
        name: notes
        domain: notes
        path: texts/notes.jsonl
        sha256: 22fc3de37b4d44ddc004fdf23d6f812219a9a4cc40ecb87414ef5baee0498ce9
        licence: CC0-1.0
        format: {kind: jsonl}
  split:
    kind: split
    matrix: {seed: [1, 2, 10], heldout: [0.1, 0.2, 0.3]}
    documents: corpus@documents
    by: document
    heldout: 0.1
    seed: 1
  other:
    kind: split
    matrix: {seed: [1, 2]}
    documents: corpus@documents
    by: document
    heldout: 0.1
    seed: 1
  once:
    kind: split
    matrix: {seed: [1]}
    documents: corpus@documents
    by: document
    heldout: 0.1
    seed: 1
"""


def experiment(tmp_path: Path, check: dict[str, Any]) -> Experiment:
    claims = [{"id": "one", "class": "paper", "says": "it is so", "check": check}]
    path = tmp_path / "cells.yaml"
    path.write_text(f"{SPEC}claims: {canonical(claims).decode()}\n")  # JSON is YAML
    return load(path, Experiment, tmp_path).value


def metric(ref: str, **more: Any) -> dict[str, Any]:
    return {"of": ref, "key": "documents.notes", **more}


def side(heldout: str) -> dict[str, Any]:
    return metric(f"split[heldout={heldout},seed=*]@train")


PAIRED = {"kind": "paired", "left": side("0.1"), "right": side("0.2"), "left_is": "lower"}


def test_a_star_is_every_value_of_an_axis_in_any_order_and_spelling(tmp_path: Path) -> None:
    check = {**PAIRED, "left": metric("split[seed = *,heldout=1e-1]@train")}
    found = experiment(tmp_path, check)
    assert problems(found) == []
    runs = lower(found)
    sources = {item.ref: [run for run, _ in item.sources] for item in planned_inputs(runs["claims"], runs)}
    assert sources["split[heldout=0.1,seed=*]@train"] == [f"split[heldout=0.1,seed={seed}]" for seed in (1, 2, 10)]


def test_a_star_may_stand_on_every_axis(tmp_path: Path) -> None:
    best = {"kind": "best", "cell": side("0.1"), "others": [metric("split[heldout=*,seed=*]@train")], "best": "lowest"}
    found = experiment(tmp_path, best)
    assert problems(found) == []
    runs = lower(found)
    assert {len(item.sources) for item in planned_inputs(runs["claims"], runs)} == {3, 9}


@pytest.mark.parametrize(
    ("ref", "says"),
    [
        ("split[seed=*]@train", r"split has no cells \[seed=\*\]; name each of its axes heldout, seed"),
        ("split[heldout=0.5,seed=*]@train", r"split has no cells \[heldout=0.5,seed=\*\]"),
        ("split[seed=*,helldout=0.1]@train", "name each of its axes heldout, seed"),
        ("corpus[seed=*]@documents", "corpus has no matrix"),
    ],
)
def test_a_star_that_fits_no_cell_is_an_error_of_the_spec(tmp_path: Path, ref: str, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        experiment(tmp_path, {**PAIRED, "left": metric(ref)})


BOUND = {"kind": "bound", "of": [metric("split[*]@train")], "high": 3.0}
RANKS = {"kind": "ranks", "x": [metric("split[*]@train")], "y": [metric("split[*]@heldout")]}
BEST = {"kind": "best", "cell": side("0.1"), "others": [side("0.2")], "best": "lowest"}

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "many where one is wanted": (
        {"kind": "disjoint", "left": "split[heldout=0.1,seed=*]@train", "right": "other[seed=1]@train"},
        "check.left: split[heldout=0.1,seed=*]@train names 3 outputs, and one is wanted, for instance",
    ),
    "many of a metric": (
        {"kind": "at_most", "left": metric("other[*]@train"), "factor": 1.0, "right": metric("other[seed=1]@train")},
        "check.left.of: other[*]@train names 2 outputs",
    ),
    "more than seeds": ({**PAIRED, "left": metric("split[*]@train")}, "check.left.of: split[*]@train names cells that"),
    "other seeds": (
        {**PAIRED, "right": metric("other[seed=*]@train")},
        "check.right.of: seed is 1, 2 in other[seed=*]@train, and 1, 10, 2 in split[heldout=0.1,seed=*]@train",
    ),
    "one seed": (
        {**PAIRED, "left": metric("once[*]@train"), "right": metric("once[seed=1]@heldout")},
        "check.left.of: once[*]@train has one value of seed; an interval wants two",
    ),
    "no seeds": (
        {**PAIRED, "left": metric("corpus@documents"), "right": metric("corpus@documents")},
        "check.left.of: corpus@documents has no axis 'seed'",
    ),
    "another axis": ({**PAIRED, "design": {"axis": "sead"}}, "check.left.of: split[heldout=0.1,seed=*]@train names"),
    "parts of other cells": (
        {**PAIRED, "left": {**side("0.1"), "over": [side("0.2")]}},
        "check.left.over.0.of: split[heldout=0.2,seed=*]@train is neither one output nor the same cells",
    ),
    "nothing to be better than": ({**BEST, "others": [side("0.1")]}, "check.others: they name the cell alone"),
    "a bound without ends": ({**BOUND, "high": None}, "check.low: a bound without `low` and `high` says nothing"),
    "an empty bound": ({**BOUND, "low": 4.0}, "check.low: nothing lies from 4 to 3; write the lower end first"),
    "ranks of two numbers": (
        {**RANKS, "y": [metric("split[*]@heldout"), side("0.1")]},
        "check.y: 2 metrics, and 1 in x",
    ),
    "ranks of other cells": ({**RANKS, "y": [metric("other[*]@train")]}, "check.y.0.of: other[*]@train names other"),
    "ranks of one cell": ({**RANKS, "x": [side("0.1")], "y": [side("0.1")]}, "check.x: ranks of fewer than 3 cells"),
    "an interaction of other seeds": (
        {
            "kind": "interaction",
            "first": {"left": side("0.1"), "right": side("0.2")},
            "second": {"left": metric("other[*]@train"), "right": side("0.2")},
            "first_is": "lower",
        },
        "check.second.left.of: seed is 1, 2 in other[*]@train",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_cells_that_cannot_be_compared_are_found_before_a_run(name: str, tmp_path: Path) -> None:
    check, says = WRONG[name]
    found = [f"{problem.path}: {problem.message}" for problem in problems(experiment(tmp_path, check))]
    assert any(line.startswith(f"claims.0.{says}") for line in found), found


@pytest.mark.parametrize("check", [PAIRED, BOUND, RANKS, BEST], ids=lambda check: str(check["kind"]))
def test_cells_that_match_are_fine(check: dict[str, Any], tmp_path: Path) -> None:
    assert problems(experiment(tmp_path, check)) == []


def test_ordered_numbers_of_runs_without_seeds_are_fine(tmp_path: Path) -> None:
    rising = [metric("corpus@documents"), metric("split[heldout=0.1,seed=1]@train")]
    assert problems(experiment(tmp_path, {"kind": "ordered", "rising": rising})) != []
    assert problems(experiment(tmp_path, {"kind": "ordered", "rising": rising[:1] * 2})) == []
