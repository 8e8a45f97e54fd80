"""Sift: the same bytes for every number of workers, every partition and every executor."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from distributed import LocalCluster

from engine.artifacts.placement import Placement
from engine.artifacts.read import Input, read_table
from engine.data.documents import Document, Drop, read_documents
from engine.data.sift import sift
from engine.spec.errors import ArtifactError
from tests.data.built import Built, build, documents, placement, prose


def odd_ones(given: Iterator[Document], drop: Drop) -> Iterator[Document]:
    """Drops by the last digit of the id: stays, has a stand-in, has a number, or is changed."""
    for document in given:
        digit = int(document.id[-1], 16)
        if digit % 4 == 1:
            drop(document, "odd", "another")
        elif digit % 4 == 2:
            drop(document, "even", measured=digit / 7)
        else:
            yield replace(document, text=document.text.upper()) if digit % 4 == 3 else document


def no_one(given: Iterator[Document], drop: Drop) -> Iterator[Document]:
    for document in given:
        drop(document, "never")
        yield from ()


def failing(given: Iterator[Document], drop: Drop) -> Iterator[Document]:
    raise ArtifactError(f"{next(given).source} is not to be read{drop is None}")


def sifted(folder: Path, corpus: Input, where: Placement, run: str = "sift") -> Built:
    return build(folder, run, lambda out: sift(corpus, odd_ones, out, where, "sift"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Input:
    given = [d for pair in zip(prose("wiki", 40, 30), prose("code", 40, 30), strict=True) for d in pair]
    return documents(tmp_path_factory.mktemp("given"), given)


def test_documents_stay_in_order_and_counts_are_those_of_the_tables(tmp_path: Path, corpus: Input) -> None:
    built = sifted(tmp_path, corpus, placement(tmp_path))
    given, kept = list(read_documents(corpus)), list(read_documents(built.outputs["documents"]))
    dropped = [row for batch in read_table(built.outputs["dropped"].folder) for row in batch.to_pylist()]
    ids = {d.id for d in kept}
    assert [d.id for d in given if d.id in ids] == [d.id for d in kept]
    assert [d.id for d in given if d.id not in ids] == [row["id"] for row in dropped]
    assert {row["reason"]: (row["stands_for"], row["measured"] is None) for row in dropped} == {
        "odd": ("another", True),
        "even": ("", False),
    }
    assert built.metrics["documents"] == {name: sum(d.domain == name for d in kept) for name in ("code", "wiki")}
    assert built.metrics["characters"] == {
        name: sum(len(d.text) for d in kept if d.domain == name) for name in ("code", "wiki")
    }
    assert built.metrics["dropped"] == {
        reason: {
            name: sum((row["reason"], row["domain"]) == (reason, name) for row in dropped) for name in ("code", "wiki")
        }
        for reason in ("even", "odd")
    }


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_workers_and_partitions_change_no_byte(tmp_path: Path, corpus: Input, workers: int) -> None:
    expected = sifted(tmp_path, corpus, placement(tmp_path), "plain")
    sizes = {1: (1, 7, None), 2: (7,), 4: (1,)}[workers]
    for rows in sizes:
        found = sifted(tmp_path, corpus, replace(placement(tmp_path, workers), partition_rows=rows), f"by-{rows}")
        assert (found.metrics, found.digests()) == (expected.metrics, expected.digests())
        assert not (tmp_path / f"by-{rows}" / ".spill").exists()


def test_the_executor_changes_no_byte(tmp_path: Path, corpus: Input) -> None:
    expected = sifted(tmp_path, corpus, placement(tmp_path), "plain")
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        dask: Literal["dask"] = "dask"
        where = replace(placement(tmp_path, 2), executor=dask, scheduler=cluster.scheduler_address, partition_rows=7)
        found = sifted(tmp_path, corpus, where, "dask")
    assert (found.metrics, found.digests()) == (expected.metrics, expected.digests())


def test_nothing_left_is_an_error_that_counts_the_reasons(tmp_path: Path, corpus: Input) -> None:
    with pytest.raises(ArtifactError, match="no documents left: trial dropped all of test/corpus: 80 for never"):
        build(tmp_path, "none", lambda out: sift(corpus, no_one, out, placement(tmp_path), "trial"))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_worker_comes_through_and_leaves_no_scratch(tmp_path: Path, corpus: Input, workers: int) -> None:
    with pytest.raises(ArtifactError, match="wiki-source is not to be read"):
        build(tmp_path, "fails", lambda out: sift(corpus, failing, out, placement(tmp_path, workers), "trial"))
    assert not (tmp_path / "fails" / ".spill").exists()
