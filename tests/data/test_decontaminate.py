"""Decontaminate: no document that stays repeats a protected one, and each drop names the one that it repeats."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from distributed import LocalCluster
from hypothesis import given
from hypothesis import strategies as st

from engine.artifacts.placement import Placement
from engine.artifacts.read import Input, Inputs
from engine.data.dedup.spec import Decontaminate, LeakTest, SameText, SharedNgram
from engine.data.leaks import word_runs
from engine.data.run import run_decontaminate
from engine.spec.errors import ArtifactError
from engine.spec.ref import Ref
from tests.data.built import Built, build, document, documents, placement, prose
from tests.data.duplicates import gone, kept

EXACT = SameText(kind="exact")
SENTENCE = "We hold these truths to be self-evident, that all men are created equal."  # 14 words
ASKED = [document("exam", n, text) for n, text in enumerate([SENTENCE, "What is two and two?", f"{SENTENCE} Why so?"])]


def ngram(words: int = 13, least: int = 1) -> SharedNgram:
    return SharedNgram(kind="ngram", words=words, least=least)


def freed(
    folder: Path,
    corpus: Input,
    against: Sequence[Input],
    *tests: LeakTest,
    place: Placement | None = None,
    run: str = "free",
    **more: Input,
) -> Built:
    """Documents without leaks; `more` are bands by the run that they are of."""
    refs = {f"held{place}@documents": (item,) for place, item in enumerate(against)}
    stage = Decontaminate(
        kind="decontaminate", documents=Ref("corpus@documents"), against=tuple(map(Ref, refs)), tests=tests
    )
    inputs = Inputs({"corpus@documents": (corpus,)} | refs | {f"{name}@bands": (item,) for name, item in more.items()})
    return build(folder, run, lambda out: run_decontaminate(stage, inputs, out, place or placement(folder)))


def test_each_test_names_what_is_repeated_and_how_much_of_it(tmp_path: Path) -> None:
    given = [
        document("web", 1, SENTENCE),
        document("web", 2, "He said: WE HOLD... these truths to be self evident\u2014that all men are created\nequal!"),
        document("web", 3, "We hold these truths to be self-evident, that all men are equal."),
        document("web", 4, f"{SENTENCE.upper()} {SENTENCE} Why so, indeed?"),
        document("web", 5, "What is two and two?"),
    ]
    exam = documents(tmp_path, ASKED, "exam")
    built = freed(tmp_path, documents(tmp_path, given), [exam], EXACT, ngram())
    one, four, three = (min(d.id for d in ASKED if SENTENCE in d.text), ASKED[2].id, given[2].id)
    assert kept(built) == [three]
    assert gone(built) == {
        given[0].id: ("leak_exact", ASKED[0].id, 1.0),
        given[1].id: ("leak_ngram", one, 2.0),
        given[3].id: ("leak_ngram", four, 4.0),
        given[4].id: ("leak_exact", ASKED[1].id, 1.0),
    }
    assert built.metrics["protected"] == {
        "documents": 3,
        "0_exact": {"texts": 3},
        "1_ngram": {"ngrams": 6, "texts_without": 1},
    }
    assert built.metrics["dropped"] == {"leak_exact": {"web": 2}, "leak_ngram": {"web": 2}}


def test_a_document_goes_from_least_on_and_equal_runs_count_once(tmp_path: Path) -> None:
    tails = ["", "four", "four one", "one two three"]
    given = [document("web", n, f"one two three {tail}") for n, tail in enumerate(tails)]
    exam = documents(tmp_path, [document("exam", 1, "One, two, three, four! One two three.")], "exam")
    built = freed(tmp_path, documents(tmp_path, given), [exam], ngram(3, 2))
    assert {name: leak.measured for name, leak in gone(built).items()} == {given[1].id: 2.0, given[2].id: 3.0}


def test_runs_are_of_one_protected_document(tmp_path: Path) -> None:
    corpus = documents(tmp_path, [document("web", 1, "a b c and d e f"), document("web", 2, "none of it")])
    exam = documents(tmp_path, [document("exam", 1, "a b c"), document("exam", 2, "d e f")], "exam")
    assert len(kept(freed(tmp_path, corpus, [exam], ngram(3, 2)))) == 2
    assert len(kept(freed(tmp_path, corpus, [exam], ngram(3, 1), run="one"))) == 1


def spelled(text: str, words: int) -> set[tuple[str, ...]]:
    """The definition: runs of words, which are runs of letters and digits of the text in lower case."""
    found = re.findall(r"[^\W_]+", text.lower())
    return {tuple(found[place : place + words]) for place in range(len(found) - words + 1)}


@given(
    st.text(st.sampled_from("aB1 \u00e9\u0130\u03a3_-\u4e2d\U0001f600\u0301")),
    st.integers(1, 4),
    st.integers(1, 9),
)
def test_runs_are_the_definition_whatever_the_pieces(text: str, words: int, piece: int) -> None:
    lowered = text.lower()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(word_runs, "PIECE_CHARS", piece)
        pieces = list(word_runs.word_runs(lowered, words))
    found = [(runs.text(lowered, place, words), number) for runs in pieces for place, number in enumerate(runs.numbers)]
    assert {tuple(run.split(" ")) for run, _ in found} == spelled(text, words)
    plain = re.findall(r"[^\W_]+", lowered)
    assert len(found) == max(len(plain) - words + 1, 0)
    assert len(set(found)) == len({run for run, _ in found})  # equal runs have equal numbers


def test_a_collision_drops_nothing_and_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = [*prose("wiki", 12, 40), document("web", 1, prose("exam", 3)[1].text[5:300])]
    corpus, exam = documents(tmp_path, given), documents(tmp_path, prose("exam", 3), "exam")
    true = freed(tmp_path, corpus, [exam], ngram(6), run="true")
    monkeypatch.setattr(word_runs, "_mixed", lambda values: values % np.uint64(3) << np.uint64(62))
    poor = freed(tmp_path, corpus, [exam], ngram(6), run="poor")
    assert gone(true).keys() == {given[-1].id}
    assert (poor.digests(), poor.metrics) == (true.digests(), true.metrics)


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> tuple[Input, list[Input]]:
    """A corpus that repeats some of two protected sides, which share a document."""
    folder = tmp_path_factory.mktemp("sides")
    held = prose("exam", 9, 40)
    copied = [replace(document("web", n, d.text), domain="web") for n, d in enumerate(held[::3])]
    cited = [document("blog", n, f"As is said: {d.text[:200]} and so on") for n, d in enumerate(held[1::3])]
    corpus = documents(folder, [*prose("wiki", 20, 40), *copied, *prose("code", 20, 40), *cited])
    return corpus, [documents(folder, held[:5], "left"), documents(folder, held[4:], "right")]


@pytest.mark.parametrize(("workers", "rows"), [(1, 1), (1, 7), (2, None)])
def test_workers_partitions_and_the_order_of_sides_change_no_byte(
    tmp_path: Path, sides: tuple[Input, list[Input]], workers: int, rows: int | None
) -> None:
    corpus, against = sides
    expected = freed(tmp_path, corpus, against, EXACT, ngram(8), run="plain")
    assert expected.metrics["dropped"] == {"leak_exact": {"web": 3}, "leak_ngram": {"blog": 3}}
    place = replace(placement(tmp_path, workers), partition_rows=rows)
    found = freed(tmp_path, corpus, against[::-1], EXACT, ngram(8), place=place, run="other")
    assert (found.digests(), found.metrics) == (expected.digests(), expected.metrics)


@pytest.mark.slow
def test_the_executor_changes_no_byte(tmp_path: Path, sides: tuple[Input, list[Input]]) -> None:
    corpus, against = sides
    expected = freed(tmp_path, corpus, against, EXACT, ngram(8), run="plain")
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        dask: Literal["dask"] = "dask"
        where = replace(placement(tmp_path, 2), executor=dask, scheduler=cluster.scheduler_address, partition_rows=7)
        found = freed(tmp_path, corpus, against, EXACT, ngram(8), place=where, run="dask")
    assert (found.digests(), found.metrics) == (expected.digests(), expected.metrics)


def test_a_protected_document_among_the_documents_goes(tmp_path: Path) -> None:
    given = prose("wiki", 4)
    corpus, held = documents(tmp_path, given), documents(tmp_path, given[:1], "held")
    built = freed(tmp_path, corpus, [held], EXACT)
    assert gone(built) == {given[0].id: ("leak_exact", given[0].id, 1.0)}


def test_what_protects_nothing_is_an_error(tmp_path: Path) -> None:
    corpus, short = documents(tmp_path, prose("wiki", 3)), documents(tmp_path, ASKED[1:2], "short")
    with pytest.raises(ArtifactError, match=r"none of the 1 protected documents has 13 words; .* ask for fewer words"):
        freed(tmp_path, corpus, [short], ngram())
    with pytest.raises(ArtifactError, match="hold no document; there is nothing to protect"):
        freed(tmp_path / "b", corpus, [documents(tmp_path, [], "empty")], EXACT)
    with pytest.raises(ArtifactError, match="decontaminate dropped all of test/corpus: 3 for leak_exact"):
        freed(tmp_path / "c", corpus, [corpus], EXACT)


def test_the_first_test_of_the_spec_gives_the_reason(tmp_path: Path) -> None:
    def reasons(run: str, *tests: LeakTest) -> list[str]:
        built = freed(tmp_path, corpus, [exam], *tests, run=run)
        return [leak.reason for leak in gone(built).values()]

    corpus = documents(tmp_path, [document("web", 1, SENTENCE), document("web", 2, "else")])
    exam = documents(tmp_path, ASKED, "exam")
    assert reasons("a", EXACT, ngram()) == ["leak_exact"]
    assert reasons("b", ngram(), EXACT) == ["leak_ngram"]
