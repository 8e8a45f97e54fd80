"""Exact dedup: scope, who stays, who stands for whom; the same answer as the definition, in whatever order."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.artifacts.read import read_table
from engine.data.dedup import buckets
from engine.data.dedup.spec import Keep
from engine.spec.errors import ArtifactError
from tests.data.built import document, documents
from tests.data.duplicates import EXACT, dedup, defined, gone, kept, unique

GIVEN = [
    document("code", 1, "same"),
    document("wiki", 2, "same"),
    document("wiki", 3, "other"),
    document("wiki", 4, "same"),
    document("code", 5, "same"),
]


@pytest.mark.parametrize("first", ["wiki", "code"])
def test_globally_the_first_domain_of_the_priority_stays_then_the_smallest_id(tmp_path: Path, first: str) -> None:
    built = unique(tmp_path, documents(tmp_path, GIVEN), dedup(keep=Keep(priority=(first,))))
    same = [d for d in GIVEN if d.text == "same"]
    winner = min(d.id for d in same if d.domain == first)
    assert kept(built) == [d.id for d in GIVEN if d.id == winner or d.text == "other"]
    assert gone(built) == {d.id: ("exact_duplicate", winner, 1.0) for d in same if d.id != winner}
    assert built.metrics["documents"] == ({"wiki": 2} if first == "wiki" else {"code": 1, "wiki": 1})
    source = f"{first}-source"
    lost = {"code-source": {source: 1 if first == "code" else 2}, "wiki-source": {source: 2 if first == "code" else 1}}
    assert built.metrics["stand_ins"] == lost
    assert built.metrics["dropped_bytes"] == {name[:4]: 4 * count[source] for name, count in lost.items()}
    assert built.metrics["kept_bytes"] == ({"wiki": 9} if first == "wiki" else {"code": 4, "wiki": 5})
    assert (built.metrics["clusters"], built.metrics["largest_cluster"]) == (1, 4)


def test_locally_each_domain_keeps_its_own(tmp_path: Path) -> None:
    built = unique(tmp_path, documents(tmp_path, GIVEN), dedup(scope="local", keep=Keep(priority=("wiki",))))
    assert built.metrics["documents"] == {"code": 1, "wiki": 2}
    assert built.metrics["dropped"] == {"exact_duplicate": {"code": 1, "wiki": 1}}


def test_the_priority_may_name_sources_and_the_text_may_break_ties(tmp_path: Path) -> None:
    keep = Keep(priority=("code-source",), by="source", then="text_digest")
    built = unique(tmp_path, documents(tmp_path, GIVEN), dedup(keep=keep))
    assert gone(built) == defined(GIVEN, dedup(keep=keep))
    assert built.metrics["documents"] == {"code": 1, "wiki": 1}


def test_without_duplicates_all_stay_in_order(tmp_path: Path) -> None:
    given = [document("wiki", n, f"text {n}") for n in range(600)]
    built = unique(tmp_path, documents(tmp_path, given), dedup())
    assert kept(built) == [d.id for d in given] and gone(built) == {}
    assert (built.metrics["clusters"], built.metrics["largest_cluster"]) == (0, 1)
    assert not (tmp_path / "unique" / ".spill").exists()


def test_an_empty_corpus_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no documents left: test/corpus has none"):
        unique(tmp_path, documents(tmp_path, []), dedup())


def test_an_id_that_stands_twice_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=f"hold the id {GIVEN[0].id} twice"):
        unique(tmp_path, documents(tmp_path, [*GIVEN, GIVEN[0]]), dedup())


ROWS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["", "u", "\u00fc", "w" * 40])), max_size=30)
KEEP = st.builds(
    Keep,
    priority=st.permutations("abc").map(lambda names: tuple(names[:2])),
    then=st.sampled_from(["document_id", "text_digest"]),
)


@settings(max_examples=15, deadline=None)
@given(ROWS.filter(len), KEEP, st.sampled_from(["global", "local"]))
def test_the_answer_is_the_one_in_memory(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], keep: Keep, scope: str
) -> None:
    given = [document(domain, n, text) for n, (domain, text) in enumerate(rows)]
    folder = tmp_path_factory.mktemp("given")
    stage = dedup(EXACT, "global" if scope == "global" else "local", keep)
    built = unique(folder, documents(folder, given), stage)
    expected = defined(given, stage)
    assert gone(built) == expected
    assert kept(built) == [d.id for d in given if d.id not in expected]


def test_many_small_buckets_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = [document("ab"[n % 2], n, f"text {n * n % 301}") for n in range(900)]
    corpus = documents(tmp_path, given)
    built = unique(tmp_path, corpus, dedup())
    monkeypatch.setattr(buckets, "BUCKET_BYTES", 1 << 12)
    monkeypatch.setattr(buckets, "HELD_BYTES", 1 << 12)
    monkeypatch.setattr(buckets, "CHUNK", 100)
    again = unique(tmp_path, corpus, dedup(), run="again")
    assert built.digests() == again.digests() and built.metrics == again.metrics
    assert gone(built) == defined(given, dedup())


def test_the_drops_say_what_the_table_of_drops_says(tmp_path: Path) -> None:
    built = unique(tmp_path, documents(tmp_path, GIVEN), dedup())
    (batch,) = read_table(built.outputs["dropped"].folder)
    by_id = {d.id: d for d in GIVEN}
    assert [(row["source"], row["domain"]) for row in batch.to_pylist()] == [
        (by_id[name].source, by_id[name].domain) for name in gone(built)
    ]
