"""`run` builds one stage in a closed environment, keeps what is there, and refuses a recipe that is not the plan's."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.artifacts.observation import read_observation
from engine.cli.run import MARK
from tests.cli.conftest import call, edit
from tests.conftest import Cli


def recipe(root: Path, run: str = "corpus") -> str:
    data = call(root, "plan", "toy", "--json").json
    return str(next(found["recipe"] for found in data["runs"] if found["run"] == run))


def test_a_stage_is_built_by_hand_as_dvc_would_build_it(toy: Path, cli: Callable[[Path], Cli]) -> None:
    (toy / "engine").mkdir()  # a folder of somebody's project that only looks like this package
    (toy / "engine" / "__init__.py").write_text("raise SystemExit('the wrong engine')\n")
    words = ("run", "toy", "corpus", "--recipe", recipe(toy))
    first = cli(toy).run(*words, "--project", str(toy), PYTHONSAFEPATH="1", LC_ALL="C", SECRET="x")
    assert first.returncode == 0, first.stderr
    content = json.loads((toy / "data" / "artifacts" / "toy" / "corpus" / "manifest.json").read_text())["content"]
    assert first.stdout == f"toy/corpus: built, content {content[:12]}\n"
    assert first.stderr == f"toy/corpus: building, recipe {words[-1][:12]}\n"
    seen = read_observation(toy / "data" / "artifacts" / "toy" / "corpus.observation.json")
    assert seen is not None
    assert seen.argv[1:5] == words[:4]
    again = call(toy, *words, **{MARK: "1"})
    assert again.out == (
        f"toy/corpus: kept, content {content[:12]}\nnothing to do: toy/corpus is there already, by this recipe\n"
    )
    assert again.err == ""
    assert call(toy, *words, "--json", **{MARK: "1"}).json == [
        {"run": "toy/corpus", "status": "kept", "content": content}
    ]


def test_finished_cells_are_kept_and_the_others_built(built: Path) -> None:
    shutil.rmtree(built / "data" / "artifacts" / "cells" / "split" / "heldout=0.1,seed=2")
    said = call(built, "run", "cells", "split").err
    words = ("run", "cells", "split", "--recipe", said.split("has --recipe ")[1].split()[0])
    done = call(built, *words, **{MARK: "1"})
    assert done.out.splitlines()[-1] == "1 cells built, 3 kept"
    assert [line.split()[1] for line in done.out.splitlines()[:-1]] == ["kept,", "built,", "kept,", "kept,"]
    assert "split[heldout=0.1,seed=2]: building" in done.err


def test_a_recipe_of_another_spec_is_refused_with_the_command_that_mends_it(toy: Path) -> None:
    before = recipe(toy)
    edit(toy / "specs" / "toy" / "toy.yaml", "licence: CC0-1.0", "licence: CC-BY-4.0")
    done = call(toy, "run", "toy", "corpus", "--recipe", before, **{MARK: "1"})
    assert (done.code, done.out) == (1, "")
    assert f"toy/corpus: this command is for recipe {before[:12]}, but" in done.err
    assert f"compile to {recipe(toy)[:12]}; run: facsimile compile (why: facsimile diff HEAD:toy toy)" in done.err
    assert not (toy / "data").exists()


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("toy", "corpus"), 2, "--recipe is missing: say which recipe of toy/corpus you mean; the plan has --recipe "),
        (("toy", "copus", "--recipe", "x"), 2, "toy has no stage 'copus'; it has corpus, clean"),
        (("toy", "corpus", "--recipe", ""), 1, "this command is for recipe , but"),
        (("toy",), 2, "the following arguments are required: STAGE"),
    ],
)
def test_a_wrong_call_builds_nothing(toy: Path, words: tuple[str, ...], code: int, told: str) -> None:
    done = call(toy, "run", *words, **{MARK: "1"})
    assert (done.code, done.out) == (code, "")
    assert told in done.err
    assert not (toy / "data").exists()


def test_an_input_that_is_not_built_is_named_with_its_command(toy: Path) -> None:
    done = call(toy, "run", "toy", "clean", "--recipe", recipe(toy, "clean"), "--json", **{MARK: "1"})
    assert (done.code, done.json["error"]) == (1, "ArtifactError")
    assert done.json["problems"][0]["message"] == "toy/corpus is not built; build it first: dvc repro toy-corpus"


@pytest.mark.parametrize("text", ["0", "-1", "two", "", "\u0662"])
@pytest.mark.parametrize("variable", ["FACSIMILE_WORKERS", "FACSIMILE_PARTITION_ROWS"])
def test_the_numbers_of_a_placement_are_checked(toy: Path, variable: str, text: str) -> None:
    done = call(toy, "plan", "toy", **{variable: text})
    assert (done.code, done.err) == (2, f"error: {variable}={text!r}: write a whole number from 1\n")


def test_the_address_of_a_scheduler_is_checked(toy: Path) -> None:
    done = call(toy, "plan", "toy", FACSIMILE_SCHEDULER="scheduler:8786")
    told = "FACSIMILE_SCHEDULER='scheduler:8786': write the address of a dask scheduler, as tcp://scheduler:8786"
    assert (done.code, done.err) == (2, f"error: {told}\n")
