"""One result of dedup: whatever the order of the documents, the workers, and the runs of rows that they are handed."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from engine.artifacts.read import Input
from engine.data.dedup.spec import DedupMethod, Keep
from engine.data.documents import Document
from tests.data.built import document, documents, placement
from tests.data.duplicates import EXACT, Scope, at_least, dedup, defined, gone, index, kept, near, unique

KEEP = Keep(priority=("web-source", "wiki-source"), by="source", then="text_digest")
METHODS = {"exact": EXACT, "near": near(), "verified": at_least(0.7)}
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


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("scope", ["global", "local"])
def test_twenty_shuffles_keep_and_drop_the_same(tmp_path: Path, method: DedupMethod, scope: Scope) -> None:
    items, stage = corpus(), dedup(method, scope, KEEP)
    expected, made = defined(items, stage, bands_of), built_index(tmp_path, items)
    assert 5 < len(expected) < DOCUMENTS - 5
    for seed in range(20):
        Random(seed).shuffle(items)
        built = unique(tmp_path, documents(tmp_path, items, f"corpus{seed}"), stage, made, run=f"unique{seed}")
        assert gone(built) == expected
        assert kept(built) == [item.id for item in items if item.id not in expected]


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_cut_into_partitions_gives_the_same_bytes(tmp_path: Path, method: DedupMethod) -> None:
    items = corpus()
    given, made, stage = documents(tmp_path, items), built_index(tmp_path, items), dedup(method, "global", KEEP)
    whole = unique(tmp_path, given, stage, made)
    for parts in range(1, 17):
        place = replace(placement(tmp_path), partition_rows=-(-DOCUMENTS // parts))
        built = unique(tmp_path, given, stage, made, place, f"unique{parts}")
        assert (built.digests(), built.metrics) == (whole.digests(), whole.metrics)
    assert gone(whole) == defined(items, stage, bands_of)


@pytest.mark.parametrize("method", [near(), at_least(0.7)], ids=["near", "verified"])
@pytest.mark.parametrize("workers", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_processes_give_the_same_bytes(tmp_path: Path, method: DedupMethod, workers: int) -> None:
    items = corpus()
    given, made, stage = documents(tmp_path, items), built_index(tmp_path, items), dedup(method, "global", KEEP)
    alone = unique(tmp_path, given, stage, made)
    place = replace(placement(tmp_path, workers), partition_rows=12)
    built = unique(tmp_path, given, stage, made, place, "processes")
    assert (built.digests(), built.metrics) == (alone.digests(), alone.metrics)
