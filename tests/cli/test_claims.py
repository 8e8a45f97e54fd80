"""`claims` prints verdicts, fails when an invariant fails, and keeps REPRODUCE.md current."""

from pathlib import Path
from typing import Any

import pytest

from engine.evaluate.verdict import Verdict, metrics, verdicts_digest
from engine.spec.canonical import pretty
from tests.cli.conftest import build, call


def verdict(name: str, class_: str, outcome: str) -> dict[str, Any]:
    return {
        "id": name,
        "class": class_,
        "says": "something",
        "source": "this project",
        "check": "traced",
        "verdict": outcome,
        "threshold": "0 problems",
        "numbers": {"problems": 3},
    }


@pytest.fixture
def checked(toy: Path) -> Path:
    """The toy project, whose claims stage left two verdicts."""
    results = toy / "data" / "results" / "toy" / "claims.json"
    results.parent.mkdir(parents=True)
    leave(results, verdict("traced", "invariant", "holds"), verdict("better", "paper", "not reproduced"))
    return toy


def leave(results: Path, *found: dict[str, Any]) -> None:
    """A result file as a build leaves it."""
    verdicts = [Verdict.model_validate(one) for one in found]
    results.write_text(pretty({"metrics": metrics(verdicts), "outputs": {"verdicts": verdicts_digest(verdicts)}}))


def test_verdicts_as_text_and_json(checked: Path) -> None:
    text, data = call(checked, "claims"), call(checked, "claims", "toy", "--json")
    assert (text.code, data.code) == (0, 0)
    assert "Statements of papers: 0 of 1 hold, 1 not reproduced\n" in text.out
    assert "Invariants of this engine: 1 of 1 hold\n" in text.out
    assert {(row["id"], row["verdict"]) for row in data.json} == {("traced", "holds"), ("better", "not reproduced")}


def test_an_invariant_that_fails_is_a_failed_check(checked: Path) -> None:
    results = checked / "data" / "results" / "toy" / "claims.json"
    leave(results, verdict("traced", "invariant", "fails"))
    assert call(checked, "claims").code == 1


def test_a_verdict_edited_by_hand_is_refused(checked: Path) -> None:
    results = checked / "data" / "results" / "toy" / "claims.json"
    results.write_text(results.read_text().replace("not reproduced", "holds"))
    for words in ((), ("--write",), ("--check",)):
        done = call(checked, "claims", *words)
        assert (done.code, done.out) == (1, "")
        assert f"{results} was changed" in done.err
        assert "dvc repro toy-claims" in done.err
    assert not (checked / "REPRODUCE.md").exists()


def test_before_any_claim_was_checked(toy: Path) -> None:
    assert call(toy, "claims").out.startswith("no claim has been checked yet; `dvc repro`")
    assert call(toy, "claims", "--json").json == []
    wrong = call(toy, "claims", "tyo")
    assert (wrong.code, wrong.out) == (2, "")
    assert "no paper 'tyo' in" in wrong.err


def test_reproduce_md_is_checked_and_written(checked: Path) -> None:
    page = checked / "REPRODUCE.md"
    missing = call(checked, "claims", "--check")
    assert (missing.code, missing.out) == (1, "REPRODUCE.md is not current; run: facsimile claims --write\n")
    assert call(checked, "claims", "--write").out == "wrote REPRODUCE.md\n"
    assert page.read_text().startswith("# 0 of 0 published results were re-trained at published scale")
    assert call(checked, "claims", "--check").out == "REPRODUCE.md is current\n"
    assert call(checked, "claims", "--write", "--json").json == {"written": False}
    page.write_text(page.read_text() + "by hand\n")
    assert call(checked, "claims", "--check", "--json").json == {"current": False}


OVER_SEEDS = """\
claims:
  - id: larger
    class: paper
    says: a larger share held out leaves less to train on
    check:
      kind: paired
      left: {of: "split[seed=*,heldout=0.2]@train", key: train.characters.*, fold: {kind: sum}}
      right: {of: "split[heldout=0.1,seed=*]@train", key: train.characters.*, fold: {kind: sum}}
      left_is: lower
"""


def test_a_claim_over_seeds_from_spec_to_page(built: Path) -> None:
    spec = built / "specs" / "toy" / "cells.yaml"
    spec.write_text(spec.read_text() + OVER_SEEDS)
    assert call(built, "compile").code == 0
    build(built, "cells", "claims")
    (row,) = call(built, "claims", "toy", "--json").json
    assert row["verdict"] in ("holds", "undecided")  # two seeds of a few documents
    statistics = row["statistics"]
    assert statistics["seeds"] == ["1", "2"]
    assert statistics["estimates"][0]["mean"] == pytest.approx(
        row["numbers"]["split[heldout=0.2]"] - row["numbers"]["split[heldout=0.1]"]
    )
    assert call(built, "record", "cells").code == 0
    assert call(built, "claims", "--write").code == 0
    page = (built / "REPRODUCE.md").read_text()
    assert "![larger](data/results/cells/plots/larger.svg)" in page
    assert (built / "data" / "results" / "cells" / "plots" / "larger.svg").is_file()
    assert call(built, "claims", "--check").code == 0
