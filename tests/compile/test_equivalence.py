"""Proofs that code equals older code: a recipe keeps the oldest digest, for stages of the shape that was proven."""

from pathlib import Path
from typing import Any

import pytest

from engine.compile.equivalence import (
    NONE,
    Equivalence,
    Equivalences,
    Segment,
    equivalences_text,
    load_equivalences,
    shape_of,
)
from engine.data.spec import Split
from engine.spec.base import Spec
from engine.spec.canonical import digest, plain
from engine.spec.errors import ArtifactError
from engine.spec.ref import Ref
from tests.train import toy

SPLIT = Split(kind="split", documents=Ref("corpus@documents"), by="document", heldout=0.1, seed=1)
A, B, C, D = (digest(name) for name in "abcd")
FACTS = {"python": "3.11"}


def proof(new: str, old: str, stage: Spec = SPLIT, **changes: Any) -> Equivalence:
    segment = Segment(run="toy/split", until="", inputs={}, outputs={"train": A}, metrics=B, log="")
    kind, shape = str(plain(stage)["kind"]), shape_of(stage)
    found = Equivalence(
        kind=kind, shape=shape, old=old, new=new, old_commit="", new_commit="", segments=(segment,),
        toolchain=digest(FACTS), facts=FACTS,
    )  # fmt: skip
    return found.replace(**changes)


def proven(*found: Equivalence) -> Equivalences:
    known = NONE
    for one in found:
        known = known.adding(one)
    return known


def test_the_shape_is_the_stage_without_its_references_and_seeds() -> None:
    assert shape_of(SPLIT) == shape_of(SPLIT.replace(documents=Ref("other@documents"), seed=2))
    assert shape_of(SPLIT) != shape_of(SPLIT.replace(heldout=0.2))
    one = toy.plan()
    assert shape_of(one) == shape_of(one.replace(seed=12, rows=Ref("x@rows")))
    assert shape_of(one) != shape_of(one.replace(steps=8))
    assert shape_of(one) != shape_of(one.replace(optimizer=one.optimizer.replace(eps=1e-7)))
    assert shape_of(toy.plan(start="a@step-2")) != shape_of(one)


def test_a_chain_leads_to_the_oldest_code() -> None:
    known = proven(proof(B, A), proof(C, B))
    assert [known.oldest(code, SPLIT) for code in (A, B, C, D)] == [A, A, A, D]


def test_two_ways_to_one_code_are_no_trouble() -> None:
    assert proven(proof(B, A), proof(C, A), proof(D, B), proof(D, C)).oldest(D, SPLIT) == A


def test_a_proof_holds_for_its_shape_alone() -> None:
    known = proven(proof(B, A))
    assert known.oldest(B, SPLIT.replace(seed=9)) == A
    assert known.oldest(B, SPLIT.replace(heldout=0.2)) == B


def test_a_circle_is_refused_where_it_is_reached() -> None:
    known = proven(proof(B, A), proof(A, B), proof(D, C))
    for code in (A, B):
        with pytest.raises(ArtifactError, match="go in a circle, code by code") as caught:
            known.oldest(code, SPLIT)
        assert A[:12] in str(caught.value)
    assert known.oldest(D, SPLIT) == C


def test_two_ends_are_refused() -> None:
    with pytest.raises(ArtifactError, match="which are not proven equal to each other"):
        proven(proof(C, A), proof(C, B)).oldest(C, SPLIT)


def test_the_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "equivalences.json"
    assert load_equivalences(path) is NONE
    path.write_text(equivalences_text(proven(proof(C, B), proof(B, A))))
    assert load_equivalences(path) == proven(proof(B, A), proof(C, B))


def test_a_later_proof_replaces_the_earlier_one() -> None:
    assert proven(proof(B, A), proof(B, A, new_commit="x")).proven == (proof(B, A, new_commit="x"),)


DAMAGES = {
    "no JSON": lambda text: text[:-9],
    "a field of ours is missing": lambda text: text.replace('"kind": "split",', ""),
    "a field of theirs": lambda text: text.replace('"kind"', '"why": "", "kind"'),
    "no digest": lambda text: text.replace(A, A[:-1]),
    "another toolchain": lambda text: text.replace("3.11", "3.12"),
    "another format": lambda text: text.replace('"format": 1', '"format": 2'),
    "not canonical": lambda text: text.replace('"kind": "split"', '"kind":  "split"'),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "equivalences.json"
    text = equivalences_text(proven(proof(B, A)))
    path.write_text(DAMAGES[name](text))
    assert path.read_text() != text
    with pytest.raises(ArtifactError, match="take it back from Git"):
        load_equivalences(path)
