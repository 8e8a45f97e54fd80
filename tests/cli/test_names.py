"""`audit`, `lineage` and `trace`, and how runs and artifacts are named on the command line, rightly and wrongly."""

import shutil
from pathlib import Path

import pytest

from tests.chain import flip
from tests.cli.conftest import call, edit

STAGES = "corpus, clean, unique, split, tokenizer, rows, train, resumed, perplexity, claims"
CELLS = ", ".join(f"split[heldout={h},seed={s}]" for h in ("0.1", "0.2") for s in (1, 2))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("toy", f"'toy' is an experiment; write toy/STAGE, where STAGE is one of {STAGES}"),
        ("rows", "no experiment 'rows'"),
        ("tyo/rows", "no experiment 'tyo' in {root}/specs; there are cells, toy (did you mean 'toy'?)"),
        ("toy/rosw", f"toy has no stage 'rosw'; it has {STAGES} (did you mean 'rows'?)"),
        ("toy/rows[seed=1]", "toy/rows has no matrix and so no cells; leave [seed=1] out"),
        ("cells/split", f"cells has no run 'split'; it has {CELLS}"),
        ("cells/split[heldout=0.1,seed=3]", f"it has {CELLS} (did you mean 'split[heldout=0.1,seed="),
        ("data/artifacts/toy/rows", "data/artifacts/toy/rows is a folder; name what lies in it: toy/rows, or"),
        ("toy/rows@row", "toy/rows has no output 'row'; it has dropped, provenance, rows (did you mean 'rows'?)"),
        ("toy/rows@", "toy/rows has no output ''; it has dropped, provenance, rows"),
        ("toy/train@step-3", "toy/train has no output 'step-3'; it has step-0, step-2, step-4, step-6, step-8, log"),
        ("toy/train@*", "toy/train has no output '*'"),
        ("toy/../toy@x", "'toy/../toy' is not a run"),
    ],
)
def test_a_name_that_names_nothing_is_told_with_those_that_do(built_once: Path, name: str, told: str) -> None:
    for verb in ("audit", "lineage"):
        done = call(built_once, verb, name)
        assert (done.code, done.out) == (2, "")
        assert told.format(root=built_once) in done.err


def test_axes_of_a_cell_may_be_written_in_any_order(built_once: Path) -> None:
    one, other = ("cells/split[heldout=0.1,seed=2]@train", "cells/split[seed=2,heldout=0.1]@train")
    assert call(built_once, "audit", one).out == call(built_once, "audit", other).out


def test_audit_passes_a_whole_chain_and_fails_a_broken_one(built: Path) -> None:
    done, data = call(built, "audit", "toy/rows@rows"), call(built, "audit", "toy/rows@rows", "--json").json
    assert done.out.endswith("toy/rows@rows: 8 links, all whole\n")
    assert (data["passed"], len(data["links"]), data["first_broken"]) == (True, 8, None)
    flip(built / "data" / "artifacts" / "toy" / "unique" / "documents" / "part-00000.parquet", 99, 3)
    done, fast = call(built, "audit", "toy/rows@rows", "--json"), call(built, "audit", "toy/rows@rows", "--fast")
    assert (done.code, done.json["first_broken"]["name"]) == (1, "toy/unique")
    assert fast.code == 0
    assert "sizes were compared, no data file was read" in fast.out


def test_what_is_built_can_be_audited_whatever_became_of_its_spec(built: Path) -> None:
    (built / "specs" / "toy" / "toy.yaml").write_text("not: [a spec")
    assert call(built, "audit", "toy/rows@rows", "--fast").code == 0
    assert call(built, "lineage", "toy/rows").code == 0
    gone = call(built, "audit", "toy/rows@row")
    assert (gone.code, gone.err) == (
        2,
        "error: toy/rows has no output 'row'; it has dropped, provenance, rows (did you mean 'rows'?)\n",
    )


def test_what_is_not_built_is_no_link(built: Path) -> None:
    done = call(built, "audit", "toy/train@final")
    assert done.code == 1
    assert "manifest.json is missing: the artifact was never built here" in done.out
    done = call(built, "lineage", "toy/train")
    assert (done.code, done.out) == (1, "")
    assert "build it with `dvc repro`" in done.err
    shutil.rmtree(built / "data" / "artifacts" / "toy" / "unique")
    assert call(built, "audit", "toy/rows").code == 1
    assert "toy/unique@documents  missing" in call(built, "lineage", "toy/rows").out


def test_lineage_as_text_json_and_a_page(built: Path) -> None:
    text, data = call(built, "lineage", "toy/rows@rows"), call(built, "lineage", "toy/rows", "--json").json
    assert text.out.startswith("toy/rows  pack  recipe ")
    assert all(f"{node['run']}@" in text.out for node in data["runs"][1:])
    assert [source["name"] for source in data["runs"][-1]["sources"]] == ["prose", "notes"]
    done = call(built, "lineage", "toy/rows", "--html", "page.html", "--json")
    assert done.json == {"file": "page.html"}
    assert (built / "page.html").read_text().startswith("<!doctype html>")
    wrong = call(built, "lineage", "toy/rows", "--html", "nosuch/page.html")
    assert (wrong.code, wrong.err) == (2, "error: --html nosuch/page.html: there is no folder nosuch\n")


def test_trace_of_a_row_and_back_from_its_document(built_once: Path) -> None:
    words = ("trace", "toy/train", "--step", "3", "--row", "1")
    text, data = call(built_once, *words), call(built_once, *words, "--json").json
    assert text.out.splitlines()[1] == "toy/train step 3 row 1 (position 9)"
    segments = data["rows"][0]["segments"]
    assert [segment["first"] for segment in segments] == sorted(segment["first"] for segment in segments)
    for segment in segments:
        assert f"document {segment['document']}, bytes {segment['byte_begin']}-{segment['byte_end']}" in text.out
        assert f"from {segment['source']}: {segment['locator']} ({segment['licence']})" in text.out
        back = call(built_once, "trace", "toy/train", "--document", segment["document"], "--json").json
        assert {"step": 3, "row": 1} in back["steps"]
        assert back["first_checkpoint"] in ("toy/train@step-2", "toy/train@step-4")
    assert len(call(built_once, *words[:4], "--json").json["rows"]) == 4


def test_trace_takes_the_first_digits_of_a_document(built_once: Path) -> None:
    row = call(built_once, "trace", "toy/train", "--step", "1", "--row", "0", "--json").json["rows"][0]
    document = row["segments"][0]["document"]
    whole = call(built_once, "trace", "toy/train", "--document", document)
    assert call(built_once, "trace", "toy/train", "--document", document[:12]).out == whole.out
    assert f"document {document}: in " in whole.out
    shared = call(built_once, "trace", "toy/train", "--document", "")
    assert shared.code == 2
    assert " documents of toy/split@train begin with ''" in shared.err
    assert shared.err.endswith(", ...; write more digits\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("toy/train",), "give either --step N [--row R] or --document ID"),
        (("toy/train", "--step", "1", "--document", "a"), "give either"),
        (("toy/train", "--document", "a", "--row", "1"), "give either"),
        (("toy/train", "--step", "0"), "--step 0: toy/train has steps 1 to 8"),
        (("toy/train", "--step", "9"), "--step 9: toy/train has steps 1 to 8"),
        (("toy/resumed", "--step", "4"), "--step 4: toy/resumed has steps 5 to 8"),
        (("toy/train", "--step", "1", "--row", "4"), "--row 4: a step has rows 0 to 3"),
        (("toy/train@final", "--step", "1"), "'toy/train@final' is an output; name the run: toy/train"),
        (("toy/rows", "--step", "1"), "toy/rows is no training stage; toy has train, resumed"),
        (("toy/train", "--document", "xyz"), "toy/split@train has no document xyz; `facsimile trace RUN --step N`"),
        (("toy/train", "--document", "0" * 32), f"toy/split@train has no document {'0' * 32}"),
    ],
)
def test_a_trace_of_what_is_not_there(built_once: Path, words: tuple[str, ...], told: str) -> None:
    done = call(built_once, "trace", *words)
    assert (done.code, done.out) == (2, "")
    assert told in done.err


def test_a_trace_through_rows_that_another_recipe_built_is_refused(built: Path) -> None:
    edit(built / "specs" / "toy" / "toy.yaml", "notes: 2}}\n    seed: 1", "notes: 2}}\n    seed: 2")
    done = call(built, "trace", "toy/train", "--step", "1")
    assert (done.code, done.out) == (1, "")
    assert "toy/rows was built by another recipe, or is not whole; build it first: dvc repro toy-rows" in done.err
