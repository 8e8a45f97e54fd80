"""`equate` proves that two versions of the engine give equal bits; then, and only then, recipes stay."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.compile.equivalence import load_equivalences
from tests.cli.conftest import call, commit, edit
from tests.conftest import ROOT, Cli

RECORD = "specs/equivalences.json"
PLAN = "specs/toy/cells.plan.json"
TOY_PLAN = "specs/toy/toy.plan.json"
SPLIT = "engine/data/split.py"
NAMED = ("value = int.from_bytes(", "place = int.from_bytes(")
USED = ("return value < stage", "return place < stage")
STALE = (*(f"not current: {name}" for name in (PLAN, TOY_PLAN, "dvc.yaml")), "run: facsimile compile")
OTHER_CONSTANT = ("* 2.0**64", "* 2.0**63")


@pytest.fixture(scope="session")
def checkout_once(built_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built toy project with an engine of its own, as a checkout of this repository has one."""
    root = tmp_path_factory.mktemp("equate") / "checkout"
    shutil.copytree(built_once, root)
    shutil.copytree(ROOT / "engine", root / "engine")
    (root / ".gitignore").write_text("/data/\n__pycache__/\n")
    commit(root, "With its engine")
    return root


@pytest.fixture
def checkout(checkout_once: Path, tmp_path: Path) -> Path:
    """A copy for one test."""
    root = tmp_path / "checkout"
    shutil.copytree(checkout_once, root)
    return root


def compiled(root: Path) -> dict[str, Any]:
    """The runs of `cells`, compiled by the engine of the checkout."""
    command = [sys.executable, "-m", "engine", "compile"]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return runs(root)


def runs(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / PLAN).read_text())["runs"]
    return found


def recipes(root: Path) -> dict[str, str]:
    return {name: run["recipe"] for name, run in runs(root).items()}


def renamed(root: Path) -> None:
    """A refactor that changes no bit: a local variable has another name."""
    for change in (NAMED, USED):
        edit(root / SPLIT, *change)


def test_a_harmless_refactor_is_proven_and_the_recipes_stay(checkout: Path) -> None:
    before = recipes(checkout)
    renamed(checkout)
    after = compiled(checkout)
    assert {name for name in before if after[name]["recipe"] != before[name]} == {n for n in before if "split" in n}
    said = call(checkout, "equate", "HEAD", ".")
    assert said.code == 0, said.out + said.err
    assert said.out.splitlines()[-2:] == ["2 of 2 proven equal", f"wrote {RECORD}; run: facsimile compile"]
    stale = call_by_its_engine(checkout, "compile", "--check")
    assert (stale.returncode, stale.stdout) == (
        1,
        "".join(f"{line}\n" for line in STALE),
    )
    kept = compiled(checkout)
    assert recipes(checkout) == before
    for name, run in kept.items():
        assert run["code"]["digest"] == after[name]["code"]["digest"]
        assert ("as" in run["code"]) == ("split" in name)
    done = call_by_its_engine(checkout, "plan", "cells", "--json")
    assert {run["state"] for run in json.loads(done.stdout)["runs"]} == {"built"}


def call_by_its_engine(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return Cli(root).run(*words, PYTHONPATH=str(root))


def test_the_record_says_what_was_proven_and_on_what(checkout: Path) -> None:
    before = runs(checkout)
    head = git(checkout, "rev-parse", "HEAD")
    renamed(checkout)
    after = compiled(checkout)
    data = call(checkout, "equate", "HEAD", ".", "--json").json
    assert (data["old"], data["new"]) == ({"version": "HEAD", "commit": head}, {"version": ".", "commit": ""})
    covered = [set(row["covers"]) for row in data["rows"]]
    assert covered == [{f"cells/split[heldout={share},seed={seed}]" for seed in (1, 2)} for share in ("0.1", "0.2")]
    proven = load_equivalences(checkout / RECORD).proven
    assert len(proven) == 2
    corpus = json.loads((checkout / "data/artifacts/cells/corpus/manifest.json").read_text())
    for one, row in zip(sorted(proven, key=lambda one: one.segments[0].run), data["rows"], strict=True):
        (segment,) = one.segments
        assert (one.kind, one.old_commit, one.new_commit) == ("split", head, "")
        run = segment.run.partition("/")[2]
        assert (one.old, one.new) == (before[run]["code"]["digest"], after[run]["code"]["digest"])
        assert (row["run"], row["status"], row["old"], row["new"]) == (segment.run, "equal", one.old, one.new)
        assert segment.inputs == {"cells/corpus@documents": corpus["outputs"]["documents"]["digest"]}
        axes = run.removeprefix("split[").removesuffix("]")
        built = json.loads((checkout / "data/artifacts/cells/split" / axes / "manifest.json").read_text())
        assert segment.outputs == {name: output["digest"] for name, output in built["outputs"].items()}
    assert git(checkout, "status", "--porcelain", "--", "data", "specs").splitlines()[-1] == f"?? {RECORD}"
    assert not list((checkout / "data").glob(".verify-*"))


def git(root: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True).stdout.strip()


def test_a_chain_of_refactors_leads_to_the_first_recipe(checkout: Path) -> None:
    before = recipes(checkout)
    one = "cells/split[heldout=0.1,seed=2]"
    renamed(checkout)
    compiled(checkout)
    assert call(checkout, "equate", "HEAD", ".", "--run", one).code == 0
    compiled(checkout)
    commit(checkout, "First refactor")
    edit(checkout / SPLIT, "[stage.seed, document.domain, _key(document, stage)]", "[stage.seed, document.domain, key]")
    edit(checkout / SPLIT, "    place = int", "    key = _key(document, stage)\n    place = int")
    compiled(checkout)
    commit(checkout, "Second refactor")
    data = call(checkout, "equate", "HEAD~1", "HEAD", "--run", one, "--json").json
    assert data["new"]["commit"] == git(checkout, "rev-parse", "HEAD")
    assert [row["covers"] for row in data["rows"]] == [[one.replace("seed=2", "seed=1"), one]]
    assert len(load_equivalences(checkout / RECORD).proven) == 2
    compiled(checkout)
    same = {name for name, recipe in recipes(checkout).items() if recipe == before[name]}
    assert same == {"corpus", "split[heldout=0.1,seed=1]", "split[heldout=0.1,seed=2]"}, "only the proven shape stays"
    back = call(checkout, "equate", ".", "HEAD~2", "--run", one, "--json")
    assert (back.code, back.json["rows"][0]["status"]) == (0, "known")
    assert len(load_equivalences(checkout / RECORD).proven) == 2


def test_a_changed_constant_is_refused_with_what_differs(checkout: Path) -> None:
    edit(checkout / SPLIT, *OTHER_CONSTANT)
    compiled(checkout)
    run = "cells/split[heldout=0.2,seed=1]"
    said = call(checkout, "equate", "HEAD", ".", "--run", run)
    assert said.code == 1
    assert f"different: {run}: output train: table differs; {run}: metric heldout.characters." in said.out
    assert said.out.endswith("0 of 1 proven equal\n")
    assert not (checkout / RECORD).exists()


def test_only_the_code_may_have_changed(checkout: Path) -> None:
    renamed(checkout)
    edit(checkout / "specs/toy/cells.yaml", "by: document", "by: group")
    compiled(checkout)
    said = call(checkout, "equate", "HEAD", ".")
    assert said.code == 1
    assert said.out.count('refused: its spec changed, not only its code: by: "document" -> "group"') == 4
    named = call(checkout, "equate", "HEAD", ".", "--run", "cells/split[heldout=0.1,seed=1]")
    assert named.code == 2
    assert "cells/split[heldout=0.1,seed=1] cannot be proven equal: its spec changed, not only its code" in named.err


def test_plans_that_are_not_those_of_the_engine_prove_nothing(
    checkout: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    renamed(checkout)
    compiled(checkout)
    edit(checkout / SPLIT, *OTHER_CONSTANT)
    said = call(checkout, "equate", "HEAD", ".")
    assert (said.code, said.out.count("not proven: the engine of . did not run cells/split")) == (1, 2)
    assert "run facsimile compile there" in capfd.readouterr().err
    assert not (checkout / RECORD).exists()


def test_what_cannot_be_run_is_told(checkout: Path, capfd: pytest.CaptureFixture[str]) -> None:
    renamed(checkout)
    edit(checkout / SPLIT, "    place = int", "    assert stage.heldout < 0.15\n    place = int")
    compiled(checkout)
    said = call(checkout, "equate", "HEAD", ".", "--json").json
    assert [row["status"] for row in said["rows"]] == ["equal", "not proven"]
    assert "assert stage.heldout < 0.15" in capfd.readouterr().err
    assert len(load_equivalences(checkout / RECORD).proven) == 1
    shutil.rmtree(checkout / "data/artifacts/cells/corpus")
    said = call(checkout, "equate", "HEAD", ".", "--json").json
    assert [row["detail"] for row in said["rows"]] == ["what it reads is not built; dvc repro builds it"] * 2


REFUSALS = {
    ("nothing", "."): "no revision 'nothing' in the git repository of",
    ("HEAD", "data"): "data has no engine and specs; name the folder of a checkout",
    ("HEAD~1", "."): "has no engine and specs in the folder of this project",
    ("HEAD", ".", "--run", "cells/splits"): "no golden plan of both versions has a run 'cells/splits'",
    ("HEAD", ".", "--run", "cells/corpus"): "cells/corpus has the same code in both versions",
    ("HEAD", ".", "--run", "toy/train", "--until", "step-3"): "--until step-3: toy/train keeps step-2, step-4, ",
}


def test_a_wrong_word_is_refused(checkout: Path) -> None:
    renamed(checkout)
    edit(checkout / "engine/train/loop.py", "len(losses)", "len(losses) + 0")
    compiled(checkout)
    for words, message in REFUSALS.items():
        said = call(checkout, "equate", *words)
        assert (said.code, said.out) == (2, ""), (words, said)
        assert message in said.err, words


def test_nothing_to_prove_is_fine(checkout: Path) -> None:
    edit(checkout / SPLIT, "    value = int", "    # why\n    value = int")
    compiled(checkout)
    said = call(checkout, "equate", "HEAD", ".")
    assert (said.code, said.out.endswith("there is nothing to prove\n")) == (0, True)


@pytest.mark.parametrize("words", [("compile",), ("plan", "cells"), ("equate", "HEAD", ".")])
def test_a_damaged_record_is_told(checkout: Path, words: tuple[str, ...]) -> None:
    (checkout / RECORD).write_text('{"format": 1, "proven": [{}]}\n')
    said = call(checkout, *words)
    assert (said.code, said.out) == (1, "")
    assert "equivalences.json is no file of equivalences: proven.0." in said.err


UPDATE = ("p.mul_(1.0 - by.lr * by.weight_decay)", "p.mul_(1.0 - by.lr * by.weight_decay * 1.01)")
MEAN = "    return sum(losses, 0.0) / len(losses), norm, lr, ids_BT"
OTHER_MEAN = "    mean = sum(losses, 0.0) / len(losses)\n    return mean, norm, lr, ids_BT"


def test_a_training_is_run_to_its_first_checkpoint(checkout: Path) -> None:
    """Twice: with another name in the loop, and with another constant in the update."""
    edit(checkout / "engine/train/loop.py", MEAN, OTHER_MEAN)
    compiled(checkout)
    said = call(checkout, "equate", "HEAD", ".", "--run", "toy/train")
    assert (said.code, "equal: 2 outputs, to step-2" in said.out) == (0, True), said
    (one,) = load_equivalences(checkout / RECORD).proven
    (segment,) = one.segments
    assert (segment.until, list(segment.outputs), segment.metrics) == ("step-2", ["step-0", "step-2"], "")
    assert segment.log
    assert one.facts["instruction_set"] == "avx2"
    commit(checkout, "Proven")
    edit(checkout / "engine/kernels/adamw/reference.py", *UPDATE)
    compiled(checkout)
    said = call(checkout, "equate", "HEAD", ".", "--run", "toy/train", "--until", "step-4")
    assert said.code == 1
    assert "different: toy/train: output step-2: tensor embedding.weight of model differs" in said.out
    assert "toy/train: log, step 2: grad_norm: " in said.out
    assert len(load_equivalences(checkout / RECORD).proven) == 1
