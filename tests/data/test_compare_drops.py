"""What only one of two dedups removes: listed with the origin of each document and of its stand-in."""

from pathlib import Path

import pytest

from engine.artifacts.read import Input, Inputs, read_table
from engine.data.dedup.spec import CompareDrops
from engine.data.run import run_compare_drops
from engine.spec.errors import ArtifactError
from engine.spec.ref import Ref
from tests.data.built import Built, build, document, documents, placement
from tests.data.duplicates import dedup, gone, unique

GIVEN = [
    document("code", 1, "in both"),
    document("wiki", 2, "in both"),
    document("wiki", 3, "twice here"),
    document("wiki", 4, "twice here"),
    document("wiki", 5, "alone"),
    document("web", 6, "in both"),
]
STAGE = CompareDrops(
    kind="compare_drops", dropped=Ref("all@dropped"), documents=Ref("all@documents"), unless=Ref("each@dropped")
)


def compare(folder: Path, dropped: Input, kept: Input, unless: Input, run: str = "compare") -> Built:
    found = {str(STAGE.dropped): (dropped,), str(STAGE.documents): (kept,), str(STAGE.unless): (unless,)}
    return build(folder, run, lambda out: run_compare_drops(STAGE, Inputs(found), out, placement(folder)))


def test_what_only_global_dedup_removes_is_listed_and_counted(tmp_path: Path) -> None:
    corpus = documents(tmp_path, GIVEN)
    whole, each = (
        unique(tmp_path, corpus, dedup(), run="all"),
        unique(tmp_path, corpus, dedup(scope="local"), run="each"),
    )
    built = compare(tmp_path, whole.outputs["dropped"], whole.outputs["documents"], each.outputs["dropped"])
    rows = [row for batch in read_table(built.outputs["only"].folder) for row in batch.to_pylist()]
    by_id, lost = {d.id: d for d in GIVEN}, gone(whole)
    assert [row["id"] for row in rows] == [name for name in lost if name not in gone(each)]
    assert len(rows) == 2 and len(lost) == 3
    for row in rows:
        by = by_id[lost[row["id"]].stands_for]
        assert (row["stands_for"], row["stand_in_source"], row["stand_in_domain"]) == (by.id, by.source, by.domain)
        assert (row["source"], row["reason"], row["measured"]) == (by_id[row["id"]].source, "exact_duplicate", 1.0)
    (winner,) = {by_id[row["stands_for"]].domain for row in rows}
    others = {"code", "web", "wiki"} - {winner}
    assert built.metrics["domains"] == {name: {winner: 1} for name in sorted(others)}
    assert built.metrics["sources"] == {f"{name}-source": {f"{winner}-source": 1} for name in sorted(others)}
    assert {name: built.metrics[name] for name in ("only", "both", "only_unless")} == {
        "only": 2,
        "both": 1,
        "only_unless": 0,
    }


def test_without_a_difference_nothing_is_listed(tmp_path: Path) -> None:
    whole = unique(tmp_path, documents(tmp_path, GIVEN), dedup(), run="all")
    built = compare(tmp_path, whole.outputs["dropped"], whole.outputs["documents"], whole.outputs["dropped"])
    assert [batch.num_rows for batch in read_table(built.outputs["only"].folder)] in ([], [0])
    assert (built.metrics["only"], built.metrics["both"], built.metrics["sources"]) == (0, 3, {})


def test_no_drops_at_all_are_no_error(tmp_path: Path) -> None:
    single = unique(tmp_path, documents(tmp_path, GIVEN[4:5]), dedup(), run="single")
    built = compare(tmp_path, single.outputs["dropped"], single.outputs["documents"], single.outputs["dropped"])
    assert (built.metrics["only"], built.metrics["both"]) == (0, 0)


def test_documents_of_another_stage_are_told(tmp_path: Path) -> None:
    corpus = documents(tmp_path, GIVEN)
    whole, each = (
        unique(tmp_path, corpus, dedup(), run="all"),
        unique(tmp_path, corpus, dedup(scope="local"), run="each"),
    )
    alone = documents(tmp_path, GIVEN[4:5], "alone")
    with pytest.raises(ArtifactError, match="must be those that the stage of `dropped` kept"):
        compare(tmp_path, whole.outputs["dropped"], alone, each.outputs["dropped"])
