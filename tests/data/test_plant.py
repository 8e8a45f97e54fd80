"""Planted duplicates: the truth is written down, copies are as alike as asked, and nothing depends on the order."""

from pathlib import Path

import pytest

from engine.artifacts.read import Inputs, read_table
from engine.data.documents import Document, read_documents
from engine.data.run import run_plant
from engine.data.spec import Plant
from engine.spec.errors import ArtifactError
from engine.spec.ref import Ref
from tests.data.built import Built, build, document, documents
from tests.data.given import place

CORPUS = [document("wiki", n, f"  page {n} " + "of many words in a row " * 40) for n in range(60)]
OTHERS = [document("code", n, f"line {n}") for n in range(5)]


def planted(folder: Path, corpus: list[Document], *copies: dict[str, object]) -> Built:
    stage = Plant.model_validate(
        {"kind": "plant", "documents": "corpus@documents", "copies": copies, "seed": 1}, strict=False
    )
    inputs = Inputs({Ref("corpus@documents"): (documents(folder, corpus),)})
    return build(folder, "plant", lambda out: run_plant(stage, inputs, out, place(folder)))


def test_the_truth_is_written_down(tmp_path: Path) -> None:
    exact = {"of": "wiki", "into": "crawl", "share": 0.5}
    thinned = {"of": "wiki", "into": "wiki", "share": 0.5, "words_left_out": 0.1}
    built = planted(tmp_path, CORPUS + OTHERS, exact, thinned)
    found = {d.id: d for d in read_documents(built.outputs["documents"])}
    (batch,) = read_table(built.outputs["planted"].folder)
    truth = batch.to_pylist()
    assert built.metrics["planted"] == [sum(row["into"] == into for row in truth) for into in ("crawl", "wiki")]
    assert len(found) == len(CORPUS) + len(OTHERS) + len(truth)
    assert 20 <= sum(row["into"] == "crawl" for row in truth) <= 40
    for row in truth:
        copy, original = found[row["id"]], found[row["copy_of"]]
        assert (copy.domain, original.domain, copy.group) == (row["into"], row["domain"], original.group)
        if row["into"] == "crawl":
            assert copy.text == original.text
        else:
            share = len(copy.text.split()) / len(original.text.split())
            assert 0.75 < share < 1
            assert copy.text.startswith("  ")


def test_another_order_plants_the_same(tmp_path: Path) -> None:
    copies = {"of": "wiki", "into": "wiki", "share": 0.3, "words_left_out": 0.05}
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    forth = planted(tmp_path / "a", CORPUS, copies).outputs["documents"]
    back = planted(tmp_path / "b", CORPUS[::-1], copies).outputs["documents"]
    assert sorted((d.id, d.text) for d in read_documents(forth)) == sorted((d.id, d.text) for d in read_documents(back))


def test_copies_of_nothing_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"copies\.0 of books; the documents have code, wiki"):
        planted(tmp_path, CORPUS + OTHERS, {"of": "books", "into": "wiki", "share": 0.5})
