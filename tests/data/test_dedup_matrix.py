"""One result of dedup: whatever the order of the documents, the workers, and the runs of rows that they are handed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from engine.artifacts.read import Input, Inputs
from engine.data.dedup.spec import DedupMethod, Keep, MinHash, Shingle
from engine.data.documents import Document
from engine.data.run import run_minhash
from engine.spec.canonical import plain
from tests.data.built import build, document, documents, placement, prose
from tests.data.duplicates import (
    CORPUS,
    EXACT,
    Scope,
    at_least,
    dedup,
    defined,
    gone,
    index,
    kept,
    near,
    similarity,
    unique,
)

KEEP = Keep(priority=("web-source", "wiki-source"), by="source", then="text_digest")
METHODS = {"exact": EXACT, "near": near(), "verified": at_least(0.7)}
OTHERS: list[tuple[str, Scope]] = [("exact", "local"), ("near", "global"), ("verified", "local")]
DOCUMENTS = 96


def corpus() -> list[Document]:
    """Documents of which many are equal, and many differ in a few letters, within and across domains."""
    return [document(("code", "web", "wiki")[n % 3], n, _text(n * n % 61)) for n in range(DOCUMENTS)]


def _text(theme: int) -> str:
    words = [f"{(theme // 5 * 7919 + word * 104729) % 9973:04d}" for word in range(40)]
    for edit in range(theme % 5 * 3):
        words[edit * 11 % 40] = f"x{theme}{edit}"
    return " ".join(words)


def bands_of(item: Document) -> tuple[str, ...]:
    """Some words of the text: documents that differ little share some."""
    return tuple(item.text[place : place + 24] for place in (0, 50, 100, 150))


def built_index(folder: Path, items: list[Document]) -> Input:
    return index(folder, items, 4, bands_of)


@pytest.mark.parametrize(
    ("method", "scope"),
    [
        (METHODS["exact"], "global"),
        (METHODS["near"], "local"),
        (METHODS["verified"], "global"),
        *(pytest.param(METHODS[name], scope, marks=pytest.mark.slow) for name, scope in OTHERS),
    ],
)
def test_twenty_shuffles_keep_and_drop_the_same(tmp_path: Path, method: DedupMethod, scope: Scope) -> None:
    items, stage = corpus(), dedup(method, scope, KEEP)
    expected, made = defined(items, stage, bands_of), built_index(tmp_path, items)
    assert 5 < len(expected) < DOCUMENTS - 5
    for seed in range(20):
        Random(seed).shuffle(items)
        built = unique(tmp_path, documents(tmp_path, items, f"corpus{seed}"), stage, made, run=f"unique{seed}")
        assert gone(built) == expected
        assert kept(built) == [item.id for item in items if item.id not in expected]


@pytest.mark.parametrize(("name", "cuts"), [("verified", range(1, 17)), ("near", (5, 16)), ("exact", (5, 16))])
def test_every_cut_into_partitions_gives_the_same_bytes(tmp_path: Path, name: str, cuts: Sequence[int]) -> None:
    items = corpus()
    given, made, stage = documents(tmp_path, items), built_index(tmp_path, items), dedup(METHODS[name], "global", KEEP)
    whole = unique(tmp_path, given, stage, made)
    for parts in cuts:
        place = replace(placement(tmp_path), partition_rows=-(-DOCUMENTS // parts))
        built = unique(tmp_path, given, stage, made, place, f"unique{parts}")
        assert (built.digests(), built.metrics) == (whole.digests(), whole.metrics)
    assert gone(whole) == defined(items, stage, bands_of)


@pytest.mark.parametrize(
    ("name", "workers"),
    [("verified", 2), *(pytest.param(name, 4, marks=pytest.mark.slow) for name in METHODS)],
)
def test_processes_give_the_same_bytes(tmp_path: Path, name: str, workers: int) -> None:
    items = corpus()
    given, made, stage = documents(tmp_path, items), built_index(tmp_path, items), dedup(METHODS[name], "global", KEEP)
    alone = unique(tmp_path, given, stage, made)
    place = replace(placement(tmp_path, workers), partition_rows=12)
    built = unique(tmp_path, given, stage, made, place, "processes")
    assert (built.digests(), built.metrics) == (alone.digests(), alone.metrics)


def test_one_index_by_minhash_serves_both_scopes_and_any_workers(tmp_path: Path) -> None:
    items = [one for one in prose("wiki", 40) for one in (one, document("web", int(one.id[:6], 16), edited(one.text)))]
    given = documents(tmp_path, items)
    stage = MinHash(kind="minhash", documents=CORPUS, shingle=Shingle(width=5), seed=1)
    inputs = Inputs({str(CORPUS): (given,)})
    places = placement(tmp_path), replace(placement(tmp_path, 2), partition_rows=9)
    indexes = [
        build(tmp_path, f"bands{n}", lambda out, at=at: run_minhash(stage, inputs, out, at))
        for n, at in enumerate(places)
    ]
    assert indexes[0].digests() == indexes[1].digests()
    bands = indexes[0].outputs["bands"]
    made = replace(bands, manifest=bands.manifest.replace(stage=plain(stage)))
    wide = unique(tmp_path, given, dedup(near(), "global"), made, places[0], "wide")
    local = unique(tmp_path, given, dedup(near(), "local"), made, places[0], "local")
    assert not gone(local) and len(gone(wide)) > 30  # every document has an edited copy in the other domain
    by_id = {item.id: item for item in items}
    for name, found in gone(wide).items():
        assert found.measured == similarity(by_id[name], by_id[found.stands_for], stage.shingle) > 0.7


def edited(text: str) -> str:
    """A text with one word exchanged."""
    return text.replace(text.split()[60], "exchanged", 1)
