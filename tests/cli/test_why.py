"""`why` of every document of the toy experiment, held against the tables of its stages."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from engine.artifacts.store import Store
from engine.report.why import why
from tests.cli.conftest import build, call, edit


def ids(root: Path, output: str) -> list[str]:
    return [str(name) for name in pq.read_table(root / "data/artifacts/toy" / output, columns=["id"])["id"].to_pylist()]


def test_every_document_ends_where_the_tables_say(built_once: Path) -> None:
    ends = {name: end for end in ("clean/dropped", "unique/dropped", "split/heldout") for name in ids(built_once, end)}
    segments = pq.read_table(built_once / "data/artifacts/toy/rows/provenance", columns=["document"])
    packed = {str(name) for name in segments["document"].to_pylist()}
    fates = {"dropped": "dropped", "heldout": "heldout"}
    found, store = set(), Store(built_once / "data" / "artifacts")
    for document in ids(built_once, "corpus/documents"):
        branches = why(store, "toy", document).branches
        assert len(branches) == 1
        run, _, output = ends.get(document, "rows/").partition("/")
        expected = fates.get(output, "packed" if document in packed else "in no row")
        assert (branches[0].runs[-1], branches[0].fate) == (f"toy/{run}", expected)
        found.add(expected)
    assert found >= {"dropped", "heldout", "packed"}


def test_a_duplicate_tells_what_stands_for_it(built_once: Path) -> None:
    (document, *_) = ids(built_once, "unique/dropped")
    text, data = call(built_once, "why", "toy", document), call(built_once, "why", "toy", document, "--json").json
    drop = data["steps"][-1]["drop"]
    assert (drop["reason"], drop["measured"], drop["stands_for"]["similarity"]) == ("exact_duplicate", 1.0, 1.0)
    other = drop["stands_for"]["document"]
    assert other["id"] in ids(built_once, "unique/documents")
    assert other["line"] == data["document"]["line"]
    assert f"    {other['id']} of toy/unique@documents stands for it, similarity 1\n" in text.out
    assert (
        f"    from {other['source']}: {other['locator']} ({other['licence']}), domain {other['domain']}\n" in text.out
    )
    assert call(built_once, "why", "toy", data["document"]["locator"]).out == text.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("toi", "000000"), "no experiment 'toi'"),
        (("toy", "zz"), "toy has no document 'zz'"),
        (("toy", "f" * 32), f"toy has no document '{'f' * 32}'; nearest: f"),
        (("toy", "abc"), "'abc' is too short for an id; write at least 6 digits of it, or a locator"),
    ],
)
def test_what_is_not_there_is_the_users_error(built_once: Path, words: tuple[str, str], told: str) -> None:
    said = call(built_once, "why", *words)
    assert (said.code, said.out) == (2, "")
    assert told in said.err


def test_a_stage_that_was_built_again_since_is_refused(built: Path) -> None:
    document = ids(built, "split/train")[0]
    edit(built / "specs/toy/toy.yaml", "chars: 40", "chars: 41")
    build(built, "toy", "clean")
    said = call(built, "why", "toy", document)
    assert (said.code, said.out) == (1, "")
    assert "toy/clean was built again since toy/unique read it" in said.err


def test_stages_that_are_not_built_are_named(built: Path) -> None:
    document = ids(built, "corpus/documents")[0]
    for folder in sorted((built / "data/artifacts/toy").glob("*/manifest.json")):
        if folder.parent.name in ("split", "rows"):
            folder.unlink()
    assert (
        call(built, "why", "toy", document).out.splitlines()[-1] == "not built, so not looked at: toy/split, toy/rows"
    )
    assert call(built, "why", "cells", "f" * 32).code == 2
