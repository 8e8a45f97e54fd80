"""`verify` rebuilds in a scratch folder and compares with what `record` wrote; nothing of it is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.cli.verify import needed
from tests.cli.conftest import call, edit
from tests.conftest import ROOT, Cli

RECORD = "specs/toy/cells.digests.json"


def scratch_folders(root: Path) -> list[Path]:
    return sorted((root / "data").glob(".verify-*"))


def test_what_is_built_equals_its_record(built_once: Path) -> None:
    text, data = call(built_once, "verify", "cells", "--built"), call(built_once, "verify", "--built", "--json").json
    assert text.code == 0
    assert text.out.endswith("cells: 5 of 5 stages as recorded\n")
    assert [row["status"] for row in data] == ["equal"] * 5
    for row in data:
        for output, digest in row["outputs"].items():
            assert any(output in line and digest[:16] in line for line in text.out.splitlines())
    part = call(built_once, "verify", "cells", "--built", "--stage", "corpus", "--json").json
    assert [row["run"] for row in part] == ["cells/corpus"]


def test_a_stage_is_rebuilt_in_a_scratch_folder_and_compared(built: Path, cli: Callable[[Path], Cli]) -> None:
    before = sorted(path for path in (built / "data").rglob("*"))
    done = cli(built).run("verify", "cells", "--stage", "corpus", "--keep", "--json")
    assert done.returncode == 0, done.stderr
    assert [(row["run"], row["status"]) for row in json.loads(done.stdout)] == [("cells/corpus", "equal")]
    assert done.stderr.startswith("[1 of 1] cells/corpus\ncells/corpus: building, recipe ")
    (kept,) = scratch_folders(built)
    assert f"kept: {kept}\n" in done.stderr
    assert (kept / "cells" / "corpus" / "manifest.json").is_file()
    assert sorted(p for p in (built / "data").rglob("*") if kept not in (p, *p.parents)) == before


def test_a_stage_that_fails_is_told_and_leaves_nothing(built: Path, cli: Callable[[Path], Cli]) -> None:
    (built / "texts" / "notes.jsonl").write_text("changed\n")
    for path in (built / "data" / "sources").iterdir():
        path.unlink()
    done = cli(built).run("verify", "cells", "--stage", "corpus")
    assert (done.returncode, done.stdout) == (1, "")
    assert "cells/corpus could not be rebuilt; its messages stand above" in done.stderr.splitlines()[-1]
    assert "texts/notes.jsonl" in done.stderr
    assert scratch_folders(built) == []


def hear_interrupts() -> None:
    """A shell starts what runs in the background with SIGINT ignored, and processes inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_verify_ends_its_stage_and_leaves_nothing(built: Path, number: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "engine", "verify", "cells"]
    with subprocess.Popen(
        command, cwd=built, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=hear_interrupts
    ) as running:
        assert running.stderr is not None
        assert running.stderr.readline() == "[1 of 2] cells/corpus\n"
        running.send_signal(number)
        assert running.stderr.read().endswith("interrupted; what was half-made does not count as built\n")
    assert running.returncode == 130
    assert scratch_folders(built) == []
    time.sleep(0.2)
    assert scratch_folders(built) == []  # nobody goes on writing there


def test_other_bits_than_recorded_fail(built: Path) -> None:
    known = json.loads((built / RECORD).read_text())
    known["data"]["corpus"]["outputs"]["documents"] = "0" * 64
    (built / RECORD).write_text(json.dumps(known))
    done = call(built, "verify", "cells", "--built")
    assert done.code == 1
    assert "different: output documents: 000000000000 was recorded, " in done.out
    assert done.out.endswith("cells: 4 of 5 stages as recorded\n")
    again = call(built, "record", "cells", "--json")
    assert again.json["changed"] == ["cells/corpus"]
    assert call(built, "verify", "cells", "--built").code == 0


def test_recording_over_other_bits_of_one_recipe_is_said_aloud(built: Path) -> None:
    known = json.loads((built / RECORD).read_text())
    known["data"]["corpus"]["outputs"]["documents"] = "0" * 64
    (built / RECORD).write_text(json.dumps(known))
    lines = call(built, "record", "cells").out.splitlines()
    assert lines[0].startswith("changed: cells/corpus: output documents: 000000000000 was recorded, ")
    assert lines[1] == f"the same recipe gave other bits than before; git diff {RECORD} shows them"
    assert lines[2].startswith(f"wrote {RECORD}: digests of 5 runs for every machine")


def test_a_stage_of_another_recipe_is_not_compared(built: Path) -> None:
    edit(built / "specs" / "toy" / "cells.yaml", "seed: [1, 2]", "seed: [1, 3]")
    done = call(built, "verify", "cells", "--built")
    assert done.code == 1
    assert "not recorded: not built; run: dvc repro cells-split\n" in done.out
    refused = call(built, "record", "cells")
    assert (refused.code, refused.err) == (
        1,
        "error: cells/split[heldout=0.1,seed=3] is not built by the current recipe; run: dvc repro cells-split\n",
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("toy",), "no digests are recorded for toy (specs/toy/toy.digests.json); build it, then run: facsimile"),
        (("tyo",), "no experiment 'tyo'"),
        (("cells", "--stage", "splt"), "cells has no stage 'splt'; it has corpus, split (did you mean 'split'?)"),
    ],
)
def test_what_cannot_be_verified_is_refused_before_anything_runs(
    built_once: Path, words: tuple[str, ...], told: str
) -> None:
    done = call(built_once, "verify", *words)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
    assert scratch_folders(built_once) == []


def test_without_any_record_the_command_that_makes_one_is_named(toy: Path) -> None:
    done = call(toy, "verify")
    assert (done.code, done.out) == (2, "")
    assert "facsimile record EXPERIMENT" in done.err


def test_a_stage_needs_what_it_stands_on(toy: Path) -> None:
    from engine.cli.project import Project

    plan = Project(toy).plan("toy")
    assert needed(plan, "tokenizer") == ["corpus", "clean", "unique", "split", "tokenizer"]
    assert needed(plan, None) == list(plan.stages())
