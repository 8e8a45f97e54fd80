"""Near duplicates: bands make clusters, verified or not; the same answer as the definition; what is wrong is told."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data.dedup import buckets
from engine.data.dedup.spec import Dedup, DedupMethod, Keep
from engine.data.documents import Document
from engine.spec.errors import ArtifactError
from tests.data.built import document, documents
from tests.data.duplicates import Built, Scope, at_least, dedup, defined, gone, index, kept, near, similarity, unique


def run(folder: Path, given: Sequence[Document], bands: Sequence[Sequence[int]], stage: Dedup) -> Built:
    """Dedup of documents with so many bands each, equal where the numbers are."""
    found = dict(zip((d.id for d in given), bands, strict=True))
    made = index(folder, given, len(bands[0]), lambda d: found[d.id])
    return unique(folder, documents(folder, given), stage, made)


def test_a_shared_band_is_enough_and_chains_join_the_ends(tmp_path: Path) -> None:
    given = [document("wiki", n, f"a text like no other {n}") for n in range(5)]
    bands = [(1, 10), (1, 20), (2, 20), (2, 30), (4, 40)]  # 0-1 by the first, 1-2 by the second, 2-3 by the first
    built = run(tmp_path, given, bands, dedup(near()))
    winner = min(d.id for d in given[:4])
    assert set(kept(built)) == {winner, given[4].id}
    best = next(d for d in given if d.id == winner)
    assert gone(built) == {d.id: ("near_duplicate", winner, similarity(d, best)) for d in given[:4] if d is not best}
    assert (built.metrics["clusters"], built.metrics["largest_cluster"], built.metrics["pairs"]) == (1, 4, 3)


def test_a_band_counts_only_in_its_own_place(tmp_path: Path) -> None:
    given = [document("wiki", n, f"text {n}") for n in range(2)]
    assert gone(run(tmp_path, given, [(1, 2), (2, 1)], dedup(near()))) == {}


def test_local_scope_leaves_what_only_another_domain_has(tmp_path: Path) -> None:
    given = [document("ab"[n // 2], n, f"one text of several {n}") for n in range(4)]
    globally = run(tmp_path / "global", given, [(1,)] * 4, dedup(near(), "global", Keep(priority=("b",))))
    locally = run(tmp_path / "local", given, [(1,)] * 4, dedup(near(), "local", Keep(priority=("b",))))
    assert len(kept(globally)) == 1 and len(kept(locally)) == 2
    assert globally.metrics["stand_ins"] == {"a-source": {"b-source": 2}, "b-source": {"b-source": 1}}
    assert locally.metrics["stand_ins"] == {"a-source": {"a-source": 1}, "b-source": {"b-source": 1}}


def test_texts_without_a_shingle_are_the_same_only_when_they_are_equal(tmp_path: Path) -> None:
    given = [document("wiki", n, text) for n, text in enumerate(["", "", "!", "!", "?"])]
    made = index(tmp_path, given, 2, lambda _: ())
    built = unique(tmp_path, documents(tmp_path, given), dedup(near()), made)
    assert {name: found.reason for name, found in gone(built).items()} == {
        max(given[0].id, given[1].id): "exact_duplicate",
        max(given[2].id, given[3].id): "exact_duplicate",
    }


def test_a_pair_from_a_band_counts_only_if_it_is_similar_enough(tmp_path: Path) -> None:
    texts = ["abcdefghij", "abcdefghiX", "abcdefghiY", "ZYXWVUTSRQ"]
    given = [document("wiki", n, text) for n, text in enumerate(texts)]
    built = run(tmp_path, given, [(1,)] * 4, dedup(at_least(0.7)))
    assert set(kept(built)) == {min(d.id for d in given[:3]), given[3].id}
    assert {found.measured for found in gone(built).values()} == {7 / 9}
    leads = given[3].id == min(d.id for d in given)  # then the others are paired once more
    assert (built.metrics["pairs"], built.metrics["pairs_below"]) == ((5, 3) if leads else (3, 1))


def test_curated_sources_stand_for_crawls_wherever_a_cluster_has_one(tmp_path: Path) -> None:
    curated, crawls = ("books", "papers"), ("crawl-3", "crawl-2", "crawl-1")
    names = (*crawls, *curated)
    given = [document(names[n * 7 % 5], n, f"text number {n}") for n in range(60)]
    bands = [(n * n % 13,) for n in range(60)]
    keep = Keep(priority=tuple(f"{name}-source" for name in (*curated, *crawls)), by="source")
    built = run(tmp_path, given, bands, dedup(near(), keep=keep))
    by_id, lost = {d.id: d for d in given}, gone(built)
    clusters: dict[str, list[Document]] = {}
    for name, found in lost.items():
        clusters.setdefault(found.stands_for, [by_id[found.stands_for]]).append(by_id[name])
    mixed = 0
    for best, members in clusters.items():
        ranks = [keep.priority.index(d.source) for d in members]
        mixed += min(ranks) < 2 <= max(ranks)
        assert keep.priority.index(by_id[best].source) == min(ranks)
        assert best == min(d.id for d, rank in zip(members, ranks, strict=True) if rank == min(ranks))
    assert mixed > 3


TEXTS = st.lists(
    st.tuples(st.text("ab", max_size=9), st.lists(st.integers(0, 3), min_size=2, max_size=2)), min_size=1, max_size=6
)
METHODS = st.one_of(st.just(near()), st.sampled_from([0.2, 0.5, 1.0]).map(at_least))
KEEP = st.builds(
    Keep,
    priority=st.sampled_from([(), ("x",), ("z", "x")]),
    then=st.sampled_from(["document_id", "text_digest"]),
)


@settings(max_examples=30, deadline=None)
@given(TEXTS, st.data(), METHODS, KEEP, st.sampled_from(["global", "local"]))
def test_the_answer_is_that_of_all_pairs_in_memory(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[tuple[str, list[int]]],
    data: st.DataObject,
    method: DedupMethod,
    keep: Keep,
    scope: Scope,
) -> None:
    folder = tmp_path_factory.mktemp("given")
    bands = dict(texts)  # equal texts have equal bands
    rows = data.draw(st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from(sorted(bands))), min_size=1))
    given = [document(domain, n, text) for n, (domain, text) in enumerate(rows)]
    stage = dedup(method, scope, keep)
    built = run(folder, given, [bands[d.text] for d in given], stage)
    expected = defined(given, stage, lambda d: bands[d.text])
    assert gone(built) == expected
    assert kept(built) == [d.id for d in given if d.id not in expected]


@pytest.mark.parametrize("method", [near(), at_least(0.6)], ids=["unverified", "verified"])
def test_many_small_buckets_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: DedupMethod) -> None:
    given = [document("ab"[n % 2], n, f"{n % 40} text of a document {n % 50} " * 2) for n in range(300)]
    bands = {d.text: (n % 40, n % 50) for n, d in enumerate(given)}
    corpus, made = documents(tmp_path, given), index(tmp_path, given, 2, lambda d: bands[d.text])
    built = unique(tmp_path, corpus, dedup(method), made)
    monkeypatch.setattr(buckets, "BUCKET_BYTES", 1 << 11)
    monkeypatch.setattr(buckets, "HELD_BYTES", 1 << 11)
    monkeypatch.setattr(buckets, "CHUNK", 64)
    again = unique(tmp_path, corpus, dedup(method), made, run="again")
    assert built.digests() == again.digests() and built.metrics == again.metrics
    assert gone(built) == defined(given, dedup(method), lambda d: bands[d.text])


def test_an_index_of_more_documents_serves(tmp_path: Path) -> None:
    given = [document("wiki", n, f"text {n}") for n in range(9)]
    made = index(tmp_path, reversed(given), 1, lambda _: (0,))
    built = unique(tmp_path, documents(tmp_path, given[2:6]), dedup(near()), made)
    assert set(gone(built)) == {d.id for d in given[2:6]} - {min(d.id for d in given[2:6])}


def test_a_document_without_bands_is_told(tmp_path: Path) -> None:
    given = [document("wiki", n, f"text {n}") for n in range(3)]
    made = index(tmp_path, given[:2], 1, lambda _: (0,))
    with pytest.raises(ArtifactError, match=f"document {given[2].id} .* build a `minhash` stage over corpus@documents"):
        unique(tmp_path, documents(tmp_path, given), dedup(near()), made)


def test_bands_of_another_text_are_told(tmp_path: Path) -> None:
    given = [document("wiki", n, f"text {n}") for n in range(3)]
    other = [*given[:2], document("wiki", 2, "changed since")]
    made = index(tmp_path, other, 1, lambda _: (0,))
    with pytest.raises(ArtifactError, match=f"document {given[2].id} .* has another text"):
        unique(tmp_path, documents(tmp_path, given), dedup(near()), made)
