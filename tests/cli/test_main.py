"""The console script: verbs and flags are pinned, help is light, every refusal has its exit code, as text and JSON."""

import argparse
import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from engine.cli import schema
from engine.cli.answer import table
from engine.cli.main import VERBS, Parser, Verb, main, overview
from tests.cli.conftest import Said, call
from tests.conftest import ROOT

FLAGS = {
    "init": ["DIR"],
    "compile": ["--check", "--stamp"],
    "plan": ["EXPERIMENT", "--deepspeed", "--pin"],
    "explain": ["EXPERIMENT", "KEY"],
    "schema": [],
    "diff": ["A", "B"],
    "bisect": ["A", "B"],
    "run": ["EXPERIMENT", "STAGE", "--recipe", "--artifacts"],
    "record": ["EXPERIMENT"],
    "verify": ["EXPERIMENT", "--interval", "--sample", "--built-rows", "--stage", "--built", "--keep"],
    "equate": ["OLD", "NEW", "--run", "--until"],
    "audit": ["ARTIFACT", "--fast"],
    "lineage": ["ARTIFACT", "--html"],
    "trace": ["RUN", "--step", "--row", "--document"],
    "why": ["EXPERIMENT", "DOCUMENT"],
    "licences": ["CHECKPOINT"],
    "croissant": ["OUTPUT", "--out", "--date", "--version", "--url", "--creator"],
    "claims": ["PAPER", "--write", "--check"],
    "export": ["CHECKPOINT", "DIR", "--format"],
}
"""No flag sets a hyperparameter: what can change a bit stands in a spec. A new one is a decision, made here."""

LIGHT = """
import sys
from engine.cli.main import main
for words in {calls!r}:
    try:
        code = main(words)
    except SystemExit as end:
        code = end.code
    assert not code, words
heavy = [name for name in {refused!r} if name in sys.modules]
assert not heavy, heavy
"""


def loads_none_of(refused: tuple[str, ...], *calls: list[str], folder: Path = ROOT) -> None:
    code = LIGHT.format(calls=calls, refused=refused)
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_verbs_and_their_arguments_are_these() -> None:
    found = {}
    for name in VERBS:
        parser = argparse.ArgumentParser(add_help=False)
        cast("Verb", importlib.import_module(f"engine.cli.{name}")).arguments(parser)
        actions = parser._actions
        found[name] = [action.option_strings[0] if action.option_strings else str(action.metavar) for action in actions]
    assert found == FLAGS


def test_help_of_every_verb_loads_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "deepspeed", "pyarrow", "numpy", "sentencepiece", "dvc")
    loads_none_of(heavy, ["--help"], ["--version"], *([verb, "--help"] for verb in VERBS))


def test_reading_verbs_load_no_torch(built_once: Path) -> None:
    calls = (
        ["compile", "--check"],
        ["plan", "toy"],
        ["explain", "toy", "stages.train.seed"],
        ["schema"],
        ["diff", "HEAD:toy", "toy"],
        ["audit", "toy/rows", "--fast"],
        ["trace", "toy/train", "--step", "1"],
        ["why", "toy", "prose.txt#line=1"],
        ["croissant", "toy/rows@rows"],
        ["claims"],
    )
    loads_none_of(("torch", "transformers", "deepspeed"), *calls, folder=built_once)


def test_the_overview_names_every_verb_and_the_exit_codes(tmp_path: Path) -> None:
    assert all(f"  {verb} " in overview() for verb in VERBS)
    assert call(tmp_path, "--help") == Said(0, overview() + "\n", "")
    assert call(tmp_path) == Said(2, overview() + "\n", "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("plna",), "no verb 'plna'; see: facsimile --help (did you mean 'plan'?)"),
        (("plan",), "the following arguments are required: EXPERIMENT; see: facsimile plan --help"),
        (("plan", "toy", "--deepsped", "x"), "unknown argument '--deepsped' (did you mean '--deepspeed'?)"),
        (("audit", "x", "--fas"), "unknown argument '--fas' (did you mean '--fast'?)"),
        (("trace", "toy/train", "--step", "x"), "argument --step: invalid int value: 'x'"),
        (("claims", "--check", "--write"), "argument --write: not allowed with argument --check"),
        (("compile",), "`facsimile init DIR` makes one"),
        (("plan", "toy", "--project", "/nowhere"), "no project at /nowhere"),
    ],
)
def test_a_wrong_command_line_is_the_users_error(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    done = call(tmp_path, *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert told in done.err
    as_json = call(tmp_path, *words, "--json")
    assert (as_json.code, as_json.err) == (2, "")
    assert as_json.json["error"] == "SpecError"
    assert told in as_json.json["problems"][0]["message"]


def test_the_project_is_found_from_a_folder_inside_it(toy: Path) -> None:
    assert call(toy / "specs" / "toy", "explain", "toy", "paper").out.startswith('paper = "toy"')


def test_a_broken_spec_is_told_with_all_its_places(toy: Path) -> None:
    spec = toy / "specs" / "toy" / "toy.yaml"
    spec.write_text(spec.read_text().replace("seed: 1", "sead: 1").replace("heldout: 0.1", "heldout: much"))
    text, as_json = call(toy, "plan", "toy"), call(toy, "plan", "toy", "--json")
    assert (text.code, as_json.code) == (2, 2)
    problems = as_json.json["problems"]
    assert text.err.startswith(f"error: {len(problems)} problems:\n")
    assert [problem["line"] for problem in problems] == sorted(problem["line"] for problem in problems)
    assert {problem["path"] for problem in problems} >= {"stages.split.heldout", "stages.split.sead"}
    for problem in problems:
        assert f"{problem['file']}:{problem['line']}:{problem['column']}: {problem['path']}" in text.err


def test_a_reader_that_has_seen_enough_is_no_error(toy: Path) -> None:
    command = f"set -o pipefail; {sys.executable} -m engine schema | head -1"
    done = subprocess.run(
        ["bash", "-c", command], cwd=toy, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "{\n", "")


def test_a_disk_that_refuses_is_told_in_its_words(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_args: argparse.Namespace) -> None:
        raise PermissionError(13, "Permission denied", "dvc.yaml")

    monkeypatch.setattr(schema, "answer", refuse)
    assert call(toy, "schema") == Said(
        1, "", "error: dvc.yaml: Permission denied; mend that, then run the same command again\n"
    )


@pytest.mark.parametrize("fault", [KeyError("x"), FileNotFoundError(2, "No such file or directory", "x")])
def test_our_own_fault_says_so(toy: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    def fail(_args: argparse.Namespace) -> None:
        raise fault

    monkeypatch.setattr(schema, "answer", fail)
    done = call(toy, "schema", "--json")
    assert (done.code, done.json["error"]) == (3, "Fault")
    assert "Traceback" in done.err
    assert "a fault of the engine, not of your spec" in done.err


def test_an_interruption_says_what_is_left(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_args: argparse.Namespace) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(schema, "answer", interrupt)
    assert call(toy, "schema") == Said(130, "", "interrupted; what was half-made does not count as built\n")


def test_a_table_aligns_numbers_to_the_right_and_leaves_out_what_is_empty() -> None:
    rows = [("a", "", "5", "x"), ("bcd", "", "12,345", "")]
    assert table(("name", "none", "count", "why"), rows, {"count"}).splitlines() == [
        "name   count  why",
        "----  ------  ---",
        "a          5  x",
        "bcd   12,345",
    ]


def test_flags_cannot_be_abbreviated() -> None:
    parser = Parser(prog="x", allow_abbrev=False)
    parser.add_argument("--check", action="store_true")
    assert parser.words(["--check"]).check


def test_the_module_is_the_console_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    shown = capsys.readouterr().out
    done = subprocess.run([sys.executable, "-m", "engine", "--version"], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == shown
    assert json.loads(json.dumps(shown)).startswith("facsimile ")
