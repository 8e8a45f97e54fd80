"""Exact dedup: scope, who stays, who stands for whom; the same answer as a dictionary in memory."""

from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.artifacts.read import Input, Inputs, read_table
from engine.data.dedup.exact import drop_duplicates
from engine.data.dedup.spec import Dedup, ExactDuplicates, Keep
from engine.data.documents import Document, read_documents
from engine.data.run import run_dedup
from engine.spec.errors import ArtifactError
from engine.spec.ref import Ref
from tests.data.built import Built, build, document, documents
from tests.data.given import place

GIVEN = [
    document("code", 1, "same"),
    document("wiki", 2, "same"),
    document("wiki", 3, "other"),
    document("wiki", 4, "same"),
    document("code", 5, "same"),
]


def unique(folder: Path, corpus: Input, scope: Literal["global", "local"], *priority: str) -> Built:
    stage = Dedup(
        kind="dedup",
        documents=Ref("corpus@documents"),
        scope=scope,
        method=ExactDuplicates(kind="exact"),
        keep=Keep(priority=priority),
    )
    inputs = Inputs({"corpus@documents": (corpus,)})
    return build(folder, "unique", lambda out: run_dedup(stage, inputs, out, place(folder)))


def kept(built: Built) -> list[str]:
    return [d.id for d in read_documents(built.outputs["documents"])]


def dropped(built: Built) -> dict[str, str]:
    rows = [row for batch in read_table(built.outputs["dropped"].folder) for row in batch.to_pylist()]
    assert {row["reason"] for row in rows} <= {"exact_duplicate"}
    return {row["id"]: row["stands_for"] for row in rows}


@pytest.mark.parametrize("first", ["wiki", "code"])
def test_globally_the_first_domain_of_the_priority_stays_then_the_smallest_id(tmp_path: Path, first: str) -> None:
    built = unique(tmp_path, documents(tmp_path, GIVEN), "global", first)
    same = [d for d in GIVEN if d.text == "same"]
    winner = min(d.id for d in same if d.domain == first)
    assert kept(built) == [d.id for d in GIVEN if d.id == winner or d.text == "other"]
    assert dropped(built) == {d.id: winner for d in same if d.id != winner}
    assert built.metrics["documents"] == ({"wiki": 2} if first == "wiki" else {"code": 1, "wiki": 1})


def test_locally_each_domain_keeps_its_own(tmp_path: Path) -> None:
    built = unique(tmp_path, documents(tmp_path, GIVEN), "local", "wiki")
    assert built.metrics["documents"] == {"code": 1, "wiki": 2}
    assert built.metrics["dropped"] == {"exact_duplicate": {"code": 1, "wiki": 1}}


def test_without_duplicates_all_stay_in_order(tmp_path: Path) -> None:
    given = [document("wiki", n, f"text {n}") for n in range(600)]
    built = unique(tmp_path, documents(tmp_path, given), "global")
    assert kept(built) == [d.id for d in given] and dropped(built) == {}
    assert not (tmp_path / "unique" / ".spill").exists()


def test_an_empty_corpus_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no documents left: test/corpus has none"):
        unique(tmp_path, documents(tmp_path, []), "global")


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("uvwxyz")), max_size=30), st.permutations("abc"))
def test_the_spilled_answer_is_the_one_in_memory(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], priority: list[str]
) -> None:
    given = [document(domain, n, text) for n, (domain, text) in enumerate(rows)]
    winners: dict[str, Document] = {}
    for one in sorted(given, key=lambda d: (priority.index(d.domain), d.id)):
        winners.setdefault(one.text, one)
    lost: dict[str, str] = {}
    folder = tmp_path_factory.mktemp("spill")
    keep = Keep(priority=tuple(priority))
    left = list(drop_duplicates(lambda: iter(given), "global", keep, folder, lambda d, _, by: lost.update({d.id: by})))
    assert left == [d for d in given if winners[d.text] is d]
    assert lost == {d.id: winners[d.text].id for d in given if winners[d.text] is not d}
