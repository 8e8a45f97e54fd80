"""`diff` predicts what rebuilds: between specs, golden plans that git keeps, and finished runs."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import call, commit, edit

AFTER_CLEAN = ["clean", "unique", "split", "tokenizer", "rows", "train", "resumed", "perplexity", "claims"]


def test_a_changed_field_is_predicted_to_rebuild_what_stands_on_it(built: Path) -> None:
    edit(built / "specs" / "toy" / "toy.yaml", "chars: 40", "chars: 41")
    data = call(built, "diff", "HEAD:toy", "toy", "--json").json
    assert data["changed"] == ["clean.steps.1.chars: 40 -> 41"]
    assert data["rebuilt"] == AFTER_CLEAN
    found = {run["run"]: run for run in data["runs"]}
    assert found["corpus"] == {"run": "corpus", "status": "stays", "reasons": []}
    assert found["clean"]["reasons"] == ["steps.1.chars: 40 -> 41"]
    assert found["rows"]["reasons"] == ["input: split <- unique <- clean"]
    assert found["clean"]["last_seconds"] > 0 == found["clean"]["flops"]
    assert found["train"]["last_seconds"] is None


def test_the_text_tells_what_the_json_tells(built: Path) -> None:
    edit(built / "specs" / "toy" / "toy.yaml", "chars: 40", "chars: 41")
    lines = call(built, "diff", "HEAD:toy", "toy").out.splitlines()
    assert lines[:4] == ["HEAD:toy -> toy", "fields", "  clean.steps.1.chars: 40 -> 41", "stages"]
    stages = [line.split("  ") for line in lines[4:-1] if not line.startswith("   ")]
    assert [parts[1] for parts in stages if "will rebuild" in " ".join(parts)] == AFTER_CLEAN
    assert "  corpus      stays" in lines
    assert lines[-1].startswith("9 of 10 will rebuild  (3e+08 FLOPs, ")


def test_a_comment_or_another_order_of_keys_changes_nothing(built: Path) -> None:
    spec = built / "specs" / "toy" / "toy.yaml"
    edit(spec, "    scope: global\n    method: {kind: exact}", "    method: {kind: exact}  # fast\n    scope: global")
    done = call(built, "diff", "HEAD:toy", "toy")
    assert done.out.splitlines()[1] == "no field of a stage differs"
    assert done.out.splitlines()[-1] == "0 of 10 will rebuild"


def test_a_revision_is_compared_by_the_golden_plan_it_keeps(built: Path) -> None:
    """An older engine wrote it: neither its recipes nor its fields are those that this engine would compile."""
    kept = built / "specs" / "toy" / "toy.plan.json"
    plan = json.loads(kept.read_text())
    plan["runs"]["clean"]["recipe"] = "0" * 64
    plan["runs"]["clean"]["code"]["digest"] = "0" * 64
    plan["runs"]["clean"]["code"]["definitions"] |= {f"engine.old.f{n}": "1" * 64 for n in range(9)}
    kept.write_text(json.dumps(plan))
    commit(built)
    data = call(built, "diff", "HEAD:toy", "HEAD~1:toy", "--json").json
    assert [run["run"] for run in data["runs"] if run["status"] == "will rebuild"] == ["clean"]
    names = ", ".join(f"engine.old.f{n}" for n in range(9))
    assert data["runs"][1]["reasons"] == [f"code: {names}"]
    short = ", ".join(f"engine.old.f{n}" for n in range(5))
    assert f"code: {short} and 4 more\n" in call(built, "diff", "HEAD:toy", "specs/toy/toy.yaml").out


def test_digests_are_shortened_for_people_only(built: Path) -> None:
    edit(built / "specs" / "toy" / "toy.yaml", "sha256: 4ed6", "sha256: 5ed6")
    text, data = call(built, "diff", "HEAD:toy", "toy"), call(built, "diff", "HEAD:toy", "toy", "--json").json
    assert 'sources.0.sha256: "4ed6fd988bbd..." -> "5ed6fd988bbd..."' in text.out
    assert max(map(len, text.out.splitlines())) < 100
    assert len(data["changed"][0].split('"')[1]) == 64


def test_cells_are_predicted_one_by_one(built: Path) -> None:
    edit(built / "specs" / "toy" / "cells.yaml", "seed: [1, 2]", "seed: [2, 3]")
    data = call(built, "diff", "HEAD:cells", "cells", "--json").json
    assert data["rebuilt"] == ["split[heldout=0.1,seed=3]", "split[heldout=0.2,seed=3]"]
    assert [run["run"] for run in data["runs"] if run["status"] == "removed"] == [
        "split[heldout=0.1,seed=1]",
        "split[heldout=0.2,seed=1]",
    ]


def test_finished_runs_are_compared_with_their_results(built_once: Path) -> None:
    one, other = "cells/split[heldout=0.1,seed=1]", "data/artifacts/cells/split/heldout=0.2,seed=1"
    data = call(built_once, "diff", one, other, "--json").json
    assert data["changed"] == ["heldout: 0.1 -> 0.2"]
    assert [run["status"] for run in data["runs"]] == ["another recipe"]
    assert data["outputs"] == {"heldout": False, "train": False}
    assert any(change.startswith("heldout.documents.notes: ") for change in data["metrics"])
    text = call(built_once, "diff", one, other).out
    assert "fields\n  heldout: 0.1 -> 0.2\nanother recipe\n" in text
    assert "\nmetrics\n  heldout.characters.notes: " in text


def test_a_run_equals_its_own_copy(built: Path) -> None:
    shutil.copytree(built / "data" / "artifacts" / "toy" / "rows", built / "elsewhere" / "rows")
    done = call(built, "diff", "toy/rows", "elsewhere/rows")
    assert done.out.splitlines()[1:3] == ["no field differs", "the same recipe"]
    assert done.out.splitlines()[-1] == "no metric differs"


def test_a_finished_run_against_the_spec_tells_of_that_run_alone(built: Path) -> None:
    spec = built / "specs" / "toy" / "toy.yaml"
    assert call(built, "diff", "toy/unique", "toy", "--json").json["runs"][0]["status"] == "stays"
    edit(spec, "chars: 40", "chars: 41")
    data = call(built, "diff", "toy/unique", "toy", "--json").json
    assert data["runs"] == [
        {
            "run": "unique",
            "status": "will rebuild",
            "reasons": ["input: clean"],
            "flops": 0,
            "last_seconds": data["runs"][0]["last_seconds"],
        }
    ]
    assert call(built, "diff", "HEAD:toy", "toy/unique", "--json").json["rebuilt"] == []


@pytest.mark.parametrize(
    ("side", "told"),
    [
        ("tyo", "no experiment 'tyo'"),
        ("nosuch:toy", "no revision 'nosuch' in the git repository of {root}; see: git log"),
        ("HEAD~9:toy", "no revision 'HEAD~9'"),
        ("--output=x:toy", "see: facsimile diff --help"),
        ("HEAD:tyo", "HEAD keeps no plan of 'tyo'; it keeps cells, toy (did you mean 'toy'?)"),
        ("toy/nosuch", "toy/nosuch is no finished run (no manifest.json there)"),
        ("toy/train", "toy/train is no finished run"),
        ("data/artifacts/toy", "data/artifacts/toy is no finished run"),
        ("cells/corpus", ""),
    ],
)
def test_a_side_that_does_not_exist_is_told_with_those_that_do(built_once: Path, side: str, told: str) -> None:
    done = call(built_once, "diff", side, "toy")
    assert (done.code, done.out == "") == ((2, True) if told else (0, False))
    assert told.format(root=built_once) in done.err


def test_a_run_that_the_plan_does_not_have(built: Path) -> None:
    edit(built / "specs" / "toy" / "cells.yaml", "seed: [1, 2]", "seed: [2, 3]")
    done = call(built, "diff", "cells/split[heldout=0.1,seed=1]", "cells")
    assert (done.code, done.out) == (2, "")
    assert "cells has no run 'split[heldout=0.1,seed=1]'; it has corpus, " in done.err


def test_revisions_need_git_and_a_commit(toy: Path, tmp_path: Path) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    assert "git is not installed" in call(toy, "diff", "HEAD:toy", "toy", PATH=str(empty)).err
    subprocess.run(["git", "init", "--quiet", str(toy)], check=True)
    done = call(toy, "diff", "HEAD:toy", "toy")
    assert (done.code, done.err) == (
        2,
        f"error: no revision 'HEAD': the git repository of {toy} has no commits yet\n",
    )
    commit(toy)
    assert (
        "HEAD keeps no plan of 'toy'; it keeps none; was it compiled and committed there?"
        in call(toy, "diff", "HEAD:toy", "toy").err
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is no JSON"),
        ('{"format": 2, "runs": {}}', "has format 2; this engine reads format 1"),
        ("[]", "is no golden plan"),
    ],
)
def test_a_kept_plan_that_cannot_be_read(built: Path, text: str, told: str) -> None:
    (built / "specs" / "toy" / "toy.plan.json").write_text(text)
    commit(built)
    done = call(built, "diff", "HEAD:toy", "toy")
    assert (done.code, done.out) == (2, "")
    assert f"HEAD:specs/toy/toy.plan.json {told}" in done.err
