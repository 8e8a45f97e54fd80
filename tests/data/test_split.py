"""Split: a hash decides, so that order, other documents and copies cannot."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from engine.artifacts.read import Input, Inputs
from engine.data.documents import Document, read_documents
from engine.data.run import run_split
from engine.data.spec import Split
from engine.data.split import is_heldout
from engine.spec.errors import ArtifactError
from engine.spec.ref import Ref
from tests.data.built import Built, build, document, documents
from tests.data.given import place


def stage(by: Literal["document", "group"], heldout: float = 0.3, seed: int = 1) -> Split:
    return Split(kind="split", documents=Ref("corpus@documents"), by=by, heldout=heldout, seed=seed)


def divided(folder: Path, corpus: Input, split: Split) -> Built:
    inputs = Inputs({"corpus@documents": (corpus,)})
    return build(folder, "split", lambda out: run_split(split, inputs, out, place(folder)))


def side(built: Built, output: str) -> list[Document]:
    return list(read_documents(built.outputs[output]))


def test_versions_of_one_module_stay_together(tmp_path: Path) -> None:
    given = [
        replace(document("code", 100 * version + n, f"{n} in {version}"), group=f"pkg/{n}.py")
        for version in (1, 2)
        for n in range(60)
    ]
    built = divided(tmp_path, documents(tmp_path, given), stage("group"))
    train, heldout = side(built, "train"), side(built, "heldout")
    assert not {d.group for d in train} & {d.group for d in heldout}
    assert len(heldout) % 2 == 0 and 0 < len(heldout) < len(given) and len(train) + len(heldout) == 120
    assert [d.id for d in given if d in train] == [d.id for d in train]
    apart = divided(tmp_path / "b", documents(tmp_path / "b", given), stage("document"))
    assert {d.group for d in side(apart, "train")} & {d.group for d in side(apart, "heldout")}


def test_a_document_falls_where_it_fell_whatever_stands_beside_it(tmp_path: Path) -> None:
    given = [document("wiki", n, f"text {n}") for n in range(50)]
    more = [document("news", n, f"news {n}") for n in range(50)]
    few = divided(tmp_path / "a", documents(tmp_path / "a", given), stage("document"))
    many = divided(tmp_path / "b", documents(tmp_path / "b", [*reversed(given), *more]), stage("document"))
    assert {d.id for d in side(few, "heldout")} == {d.id for d in side(many, "heldout") if d.domain == "wiki"}


def test_equal_texts_of_a_domain_fall_together() -> None:
    pairs = [(document("wiki", n, f"text {n}"), document("wiki", 1000 + n, f"text {n}")) for n in range(50)]
    assert all(is_heldout(a, stage("document")) == is_heldout(b, stage("document")) for a, b in pairs)


def test_the_fraction_and_the_seed_are_what_decides() -> None:
    given = [document("wiki", n, f"text {n}") for n in range(4000)]
    tenth = [d for d in given if is_heldout(d, stage("document", 0.1))]
    assert 320 < len(tenth) < 480
    assert {d.id for d in tenth} <= {d.id for d in given if is_heldout(d, stage("document", 0.2))}
    assert tenth != [d for d in given if is_heldout(d, stage("document", 0.1, seed=2))]


def test_known_documents_fall_where_they_always_did() -> None:
    held = [n for n in range(20) if is_heldout(document("wiki", n, f"text {n}"), stage("document"))]
    assert held == [3, 4, 11, 15]


def test_all_on_one_side_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"all 1 documents fell into `train`, at heldout=1e-09"):
        divided(tmp_path, documents(tmp_path, [document("wiki", 1, "alone")]), stage("document", 1e-9))
    with pytest.raises(ArtifactError, match="no documents left"):
        divided(tmp_path / "b", documents(tmp_path / "b", []), stage("document"))
