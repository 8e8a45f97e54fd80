"""Leaks by a shared band, from indexes made by hand and from the text of the split to the corpus without it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from engine.artifacts.read import Input, Inputs
from engine.data.dedup.spec import LeakTest, MinHash, SameText, SharedBand, Shingle
from engine.data.documents import Document, read_documents
from engine.data.run import run_minhash, run_split
from engine.data.spec import Split
from engine.spec.canonical import plain
from engine.spec.errors import ArtifactError
from engine.spec.ref import Ref
from tests.data.built import Built, build, document, documents, placement, prose
from tests.data.duplicates import declared, gone, index, kept, similarity
from tests.data.test_decontaminate import freed

EXACT = SameText(kind="exact")
WIKI = prose("wiki", 8, 20)
HELD = sorted(prose("exam", 4, 20), key=lambda item: item.id)


def near(*runs: str) -> SharedBand:
    return SharedBand(kind="near", bands=tuple(Ref(f"{run}@bands") for run in runs or ("index",)))


def bands_of(shared: dict[str, Sequence[object]], count: int = 3) -> "Bands":
    return Bands(shared, count)


class Bands:
    """Each document has bands of its own, but what is said of it by its id."""

    def __init__(self, shared: dict[str, Sequence[object]], count: int) -> None:
        self.shared, self.count = shared, count

    def __call__(self, item: Document) -> Sequence[object]:
        return self.shared.get(item.id, [f"{item.id}{band}" for band in range(self.count)])


def leaked(folder: Path, given: Sequence[Document], held: Sequence[Document], bands: Input, *tests: LeakTest) -> Built:
    corpus = documents(folder / "in", given)
    return freed(folder, corpus, [documents(folder / "in", held, "held")], *tests or (near(),), index=bands)


def test_one_band_is_enough_and_most_bands_give_the_name(tmp_path: Path) -> None:
    a, b, c = (item.id for item in WIKI[:3])
    shared: dict[str, Sequence[object]] = {
        HELD[0].id: ["x", "y", "z"],
        HELD[1].id: ["x", "p", "q"],
        HELD[2].id: [],  # a text without a shingle shares nothing
        a: ["x", "own", "own"],  # of two that have the band the smaller id
        b: ["x", "p", "q"],
        c: ["p", "x", "y"],  # equal bands at other places are none
        WIKI[3].id: [],
    }
    found = index(tmp_path, [*WIKI, *HELD], 3, bands_of(shared))
    built = leaked(tmp_path, WIKI, HELD, found)
    assert {name: leak[:2] for name, leak in gone(built).items()} == {
        a: ("leak_near", HELD[0].id),
        b: ("leak_near", HELD[1].id),
    }
    assert gone(built)[b].measured == similarity(WIKI[1], HELD[1])
    assert built.metrics["protected"] == {"documents": 4, "0_near": {"bands": 8}}


def test_a_document_or_a_protected_one_without_a_row_is_an_error(tmp_path: Path) -> None:
    shared = bands_of({})
    with pytest.raises(ArtifactError, match=f"^document {WIKI[7].id} has no row for its text in index@bands; build"):
        leaked(tmp_path / "a", WIKI, HELD, index(tmp_path / "i", [*WIKI[:7], *HELD], 3, shared))
    with pytest.raises(ArtifactError, match=f"protected document {HELD[3].id} has no row for its text"):
        leaked(tmp_path / "b", WIKI, HELD, index(tmp_path / "j", [*WIKI, *HELD[:3]], 3, shared))
    changed = [replace(WIKI[0], text="cleaned after the index was made"), *WIKI[1:]]
    with pytest.raises(ArtifactError, match=f"document {WIKI[0].id} has no row for its text"):
        leaked(tmp_path / "c", changed, HELD, index(tmp_path / "k", [*WIKI, *HELD], 3, shared))


def test_two_indexes_serve_if_their_settings_are_one(tmp_path: Path) -> None:
    shared = bands_of({HELD[1].id: ["x", "y", "z"], WIKI[5].id: ["n", "y", "n"]})
    ours, theirs = index(tmp_path / "ours", WIKI, 3, shared), index(tmp_path / "theirs", HELD, 3, shared)
    corpus, held = documents(tmp_path, WIKI), documents(tmp_path, HELD, "held")
    built = freed(tmp_path, corpus, [held], near("ours", "theirs"), ours=ours, theirs=theirs)
    assert list(gone(built)) == [WIKI[5].id]
    other = declared(theirs, 3, Shingle(width=5))
    with pytest.raises(ArtifactError, match="were made with different settings"):
        freed(tmp_path / "b", corpus, [held], near("ours", "theirs"), ours=ours, theirs=other)


def nearly(item: Document, number: int) -> Document:
    """A copy elsewhere with one word more."""
    return document("web", number, item.text.replace(" the ", " the same ", 1))


def signed(folder: Path, corpus: Input) -> Input:
    """The bands of documents, as the published pipeline makes them."""
    stage = MinHash(kind="minhash", documents=Ref("corpus@documents"), seed=3)
    inputs = Inputs({"corpus@documents": (corpus,)})
    made = build(folder, "index", lambda out: run_minhash(stage, inputs, out, placement(folder))).outputs["bands"]
    return replace(made, manifest=made.manifest.replace(stage=plain(stage)))


def test_no_variant_keeps_what_was_held_out(tmp_path: Path) -> None:
    base = prose("wiki", 60, 120)
    copies = [document("blog", n, item.text) for n, item in enumerate(base)]
    edits = [nearly(item, n) for n, item in enumerate(base)]
    corpus = documents(tmp_path, [*base, *copies, *edits])
    bands = signed(tmp_path, corpus)
    split = Split(kind="split", documents=Ref("corpus@documents"), by="document", heldout=0.1, seed=1)
    inputs = Inputs({"corpus@documents": (corpus,)})
    parted = build(tmp_path, "split", lambda out: run_split(split, inputs, out, placement(tmp_path)))
    train, heldout = parted.outputs["train"], parted.outputs["heldout"]

    built = freed(tmp_path, train, [heldout], EXACT, near(), index=bands)
    held = list(read_documents(heldout))
    texts = {item.text for item in held}
    assert {leak.reason for leak in gone(built).values()} == {"leak_exact", "leak_near"}
    assert not {item.text for item in read_documents(built.outputs["documents"])} & texts
    numbers = {int(item.locator.rsplit("=")[-1]) for item in held}
    late = [item for item in read_documents(built.outputs["documents"]) if int(item.locator.rsplit("=")[-1]) in numbers]
    assert late == []  # every version of a held-out text is gone
    assert len(kept(built)) == 3 * len(base) - 3 * len(numbers)
    by_id = {item.id: item for item in read_documents(corpus)}
    for name, leak in gone(built).items():
        stage = Shingle()
        same = by_id[name].text == by_id[leak.stands_for].text
        assert leak.measured == (1.0 if same else similarity(by_id[name], by_id[leak.stands_for], stage))
    place = replace(placement(tmp_path, 2), partition_rows=7)
    again = freed(tmp_path, train, [heldout], EXACT, near(), index=bands, place=place, run="again")
    assert (again.digests(), again.metrics) == (built.digests(), built.metrics)
