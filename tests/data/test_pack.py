"""Packing: the same bytes for any workers, the declared mix, and clear words for a corpus that cannot be packed."""

import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from engine.artifacts import read, table
from engine.artifacts.read import Input, read_array, read_table
from engine.data import encode
from engine.spec.errors import ArtifactError, SpecError
from tests.data.built import Built, bpe, document, documents, packed, plan, prose, trained

GOLDEN = {
    "dropped": "3d838a1c68787d9e747cd3cd946c6520ddaa5d57af54d1acb1d01bd562727bd2",
    "provenance": "5a0bfad737fbeef14478410fbcd74528aa2ee5d36e7201a631c638a04c051d39",
    "rows": "749ffbe022c5de707f030a5994e9fd5a10a701d17f98ba5395378746cb88fca7",
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Input:
    """Three domains that take turns, with an empty document and one that no tokenizer gives back."""
    turns = zip(prose("wiki", 24), prose("code", 24), prose("books", 24), strict=True)
    odd = [document("code", 99, ""), document("wiki", 99, "a \u2581 b")]
    return documents(tmp_path_factory.mktemp("corpus"), [*(item for turn in turns for item in turn), *odd])


@pytest.fixture(scope="module")
def model(corpus: Input, tmp_path_factory: pytest.TempPathFactory) -> Input:
    return trained(tmp_path_factory.mktemp("model"), corpus, bpe()).outputs["model"]


def test_one_and_two_workers_give_the_golden_bytes(
    corpus: Input, model: Input, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode, "BATCH_CHARS", 2000)
    stage = plan(wiki=2, code=0.5)
    one, two = (packed(tmp_path / str(workers), corpus, model, stage, workers) for workers in (1, 2))
    assert one.digests() == two.digests() == GOLDEN
    assert one.metrics == two.metrics


def test_rows_are_the_same_however_documents_come_in_batches(
    corpus: Input, model: Input, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = packed(tmp_path / "whole", corpus, model, plan())
    monkeypatch.setattr(encode, "BATCH_CHARS", 1)
    assert packed(tmp_path / "single", corpus, model, plan()).digests() == whole.digests()


def order_of(built: Built) -> tuple[np.ndarray, np.ndarray]:
    folder = built.outputs["rows"].folder
    return read_array(folder, "order"), read_array(folder, "chunks")


def domains_of_rows(built: Built) -> np.ndarray:
    table = read_table(built.outputs["provenance"].folder, ["row", "domain"])
    found = {item["row"]: item["domain"] for batch in table for item in batch.to_pylist()}
    return np.array([found[row] for row in range(len(found))])


def test_the_mix_is_the_declared_one(corpus: Input, model: Input, tmp_path: Path) -> None:
    built = packed(tmp_path, corpus, model, plan(chunks=36, wiki=6, code=0.5, books=3))
    order, chunks = order_of(built)
    of_row, metrics = domains_of_rows(built), built.metrics
    times = np.bincount(order)
    for domain, repeat in (("wiki", 6), ("code", 1), ("books", 3)):
        assert set(times[of_row == domain].tolist()) == {repeat}
        assert metrics["positions_of"][domain] == repeat * metrics["rows"][domain]
        assert metrics["share"][domain] == metrics["positions_of"][domain] / len(order)
    assert metrics["repeats"] == {"books": 3.0, "code": 0.5, "wiki": 6.0}
    assert abs(metrics["rows"]["code"] - metrics["rows_in_no_chunk"]["code"]) <= 36
    assert metrics["positions"] == len(order) == chunks[-1]
    assert metrics["chunk_rows"] == {"least": int(np.diff(chunks).min()), "most": int(np.diff(chunks).max())}
    assert np.diff(chunks).max() - np.diff(chunks).min() <= 3
    assert metrics["dropped"] == {"irreversible": {"wiki": 1}}
    assert list(dict.fromkeys(of_row.tolist())) == ["books", "code", "wiki"]


def test_equal_chunks_lie_at_the_repeat_distance_and_are_shuffled_apart(
    corpus: Input, model: Input, tmp_path: Path
) -> None:
    order, chunks = order_of(packed(tmp_path, corpus, model, plan(chunks=12, wiki=3, code=3, books=3)))
    rows = [order[a:b] for a, b in pairwise(chunks)]
    for chunk in range(8):
        assert sorted(rows[chunk]) == sorted(rows[chunk + 4])
        assert rows[chunk].tolist() != rows[chunk + 4].tolist()
        assert rows[chunk].tolist() != sorted(rows[chunk])


def test_what_is_left_over_is_counted(corpus: Input, model: Input, tmp_path: Path) -> None:
    metrics = packed(tmp_path, corpus, model, plan(row_tokens=50)).metrics
    for domain in ("books", "code", "wiki"):
        assert metrics["tokens"][domain] == 50 * metrics["rows"][domain] + metrics["tail_tokens"][domain]
        assert 0 <= metrics["tail_tokens"][domain] < 50


def test_ids_take_two_bytes_where_they_fit(corpus: Input, model: Input, tmp_path: Path) -> None:
    built = packed(tmp_path, corpus, model, plan())
    assert read_array(built.outputs["rows"].folder, "ids").dtype == np.uint16


def test_a_domain_smaller_than_one_row_is_told(model: Input, tmp_path: Path) -> None:
    corpus = documents(tmp_path, [*prose("code", 5), document("tiny", 1, "one"), document("void", 1, "\u2581")])
    with pytest.raises(ArtifactError, match=r"one row of 16 tokens: tiny \(\d tokens\), void \(0 tokens\); add doc"):
        packed(tmp_path, corpus, model, plan())


def test_an_empty_corpus_is_told(model: Input, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="test/corpus@documents holds no document"):
        packed(tmp_path, documents(tmp_path, []), model, plan())


def test_repeats_that_cannot_be_are_told(corpus: Input, model: Input, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="names news, which no document has; the documents have books, code, wiki"):
        packed(tmp_path / "a", corpus, model, plan(news=2))
    with pytest.raises(SpecError, match=r"mix\.repeats\.code: 9 .*\nmix\.repeats\.wiki: 5 "):
        packed(tmp_path / "b", corpus, model, plan(code=9, wiki=5))


def test_repeats_that_leave_nothing_are_told(model: Input, tmp_path: Path) -> None:
    corpus = documents(tmp_path, [document("code", number, "x" * 40) for number in range(2)])
    with pytest.raises(ArtifactError, match="the plan says sentencepiece_bpe of 401 ids"):
        packed(tmp_path / "a", corpus, model, plan(vocabulary=401))
    metrics = packed(tmp_path / "b", corpus, model, plan(chunks=1, code=0.001)).metrics
    assert metrics["positions"] == 1


def peak_bytes(times: int, folder: Path, model: Input) -> tuple[int, int]:
    """The most that numpy and Python, and Arrow, held while a corpus of 0.45 MB x times was packed."""
    texts = [item.text for item in prose("code", 20, words=400)]
    items = (document("code", number, texts[number % 20]) for number in range(200 * times))
    corpus = documents(folder, items)
    before = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(before)
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        packed(folder, corpus, model, plan(row_tokens=64, chunks=8 * times))
        return tracemalloc.get_traced_memory()[1], pool.max_memory()
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(before)


def test_memory_does_not_grow_with_the_corpus(model: Input, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "BATCH_CHARS", 1 << 16)
    monkeypatch.setattr(table, "GROUP_BYTES", 1 << 16)
    monkeypatch.setattr(read, "BATCH_ROWS", 16)
    once, fourfold = (peak_bytes(times, tmp_path / str(times), model) for times in (2, 8))
    assert fourfold[0] < 1.3 * once[0]
    assert fourfold[1] < 1.3 * once[1]
