"""Where a document went, over a made experiment with every kind of stage, two scopes of dedup and a matrix of packs."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.artifacts.draft import Draft
from engine.artifacts.store import Store
from engine.data.dedup.compare import ONLY_SCHEMA
from engine.data.documents import DROPPED_SCHEMA, SCHEMA
from engine.data.plant import PLANTED
from engine.data.provenance import SCHEMA as SEGMENTS
from engine.report.why import data_runs, why
from engine.spec.errors import ArtifactError, SpecError
from tests.chain import make_run

NAMES = ("short", "first", "near", "far", "held", "leaky", "plain", "unpacked")
IDS = {name: f"{number:x}" * 32 for number, name in enumerate(NAMES)} | {"copy": "c0ffee" + "0" * 26}
DOMAINS = {"first": "wiki", "near": "code"}
INDEX = {"kind": "minhash", "documents": "clean@documents", "bands": 9, "rows": 13}
VERIFY = {"kind": "jaccard", "least": 0.8}
LEAKS = [{"kind": "exact"}, {"kind": "ngram", "words": 13, "least": 2}]


def row(name: str) -> tuple[str, ...]:
    text = f"\n---\n  {name} text\nmore of it"
    return (IDS[name], "web", DOMAINS.get(name, "web"), IDS[name], f"file.txt#{name}", "CC0-1.0", text)


def drop(name: str, reason: str, stands_for: str = "", measured: float | None = None) -> tuple[Any, ...]:
    return (IDS[name], "web", DOMAINS.get(name, "web"), reason, IDS.get(stands_for, ""), measured)


Tables = Mapping[str, tuple[pa.Schema, Iterable[tuple[Any, ...]]]]


def writes(tables: Tables) -> Callable[[Draft], None]:
    def write(draft: Draft) -> None:
        for output, (schema, rows) in tables.items():
            with draft.table(output, schema) as table:
                columns = zip(*rows, strict=True) if (rows := list(rows)) else ((),) * len(schema)
                arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
                table.write(pa.RecordBatch.from_arrays(arrays, schema=schema))
            draft.close(output)

    return write


def documents(*names: str) -> tuple[pa.Schema, list[tuple[Any, ...]]]:
    return SCHEMA, [row(name) for name in names]


def dropped(*rows: tuple[Any, ...]) -> tuple[pa.Schema, list[tuple[Any, ...]]]:
    return DROPPED_SCHEMA, list(rows)


def packs(*names: str) -> Callable[[Draft], None]:
    """Each document is a row of 4 tokens, which stands twice in the training order."""

    def write(draft: Draft) -> None:
        segments = [(n, 0, IDS[name], "web", 0, 9, 0, 4, 1) for n, name in enumerate(names)]
        writes({"provenance": (SEGMENTS, segments), "dropped": dropped()})(draft)
        with draft.array("rows", "order", np.dtype(np.int64), ()) as order:
            order.write(np.tile(np.arange(len(names)), 2))
        draft.close("rows")

    return write


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """corpus > planted > clean > index, local, global > split > safe > rows, and local > rows of a matrix."""
    store = Store(tmp_path_factory.mktemp("why") / "artifacts")

    def make(name: str, stage: Mapping[str, Any], tables: Tables | Callable[[Draft], None], *reads: str) -> None:
        wanted = {ref: ((f"made/{ref.partition('@')[0]}", ref.partition("@")[2]),) for ref in reads}
        make_run(store, f"made/{name}", stage, wanted, tables if callable(tables) else writes(tables))

    def reading(kind: str, ref: str, **more: Any) -> dict[str, Any]:
        return {"kind": kind, "documents": ref, **more}

    make("corpus", {"kind": "ingest", "sources": []}, {"documents": documents(*NAMES)})
    plants = {"documents": documents(*NAMES, "copy"), "planted": (PLANTED, [(IDS["copy"], IDS["plain"], "web", "web")])}
    make("planted", reading("plant", "corpus@documents"), plants, "corpus@documents")
    steps = [{"kind": "nfc"}, {"kind": "least_chars", "chars": 40}]
    cleaned = {"documents": documents(*NAMES[1:], "copy"), "dropped": dropped(drop("short", "least_chars", "", 12))}
    make("clean", reading("clean", "planted@documents", steps=steps), cleaned, "planted@documents")
    make("index", INDEX, {"bands": (pa.schema([("id", pa.string())]), [])}, "clean@documents")
    near = {"kind": "near", "bands": "index@bands", "verify": VERIFY}
    bands = ("clean@documents", "index@bands")
    local = {"documents": documents(*NAMES[1:], "copy"), "dropped": dropped()}
    make("local", reading("dedup", "clean@documents", method=near), local, *bands)
    kept = [name for name in (*NAMES[1:], "copy") if name not in ("near", "far")]
    gone = dropped(drop("near", "near_duplicate", "first", 0.875), drop("far", "exact_duplicate", "leaky", 1.0))
    make(
        "global",
        reading("dedup", "clean@documents", method=near),
        {"documents": documents(*kept), "dropped": gone},
        *bands,
    )
    only = (ONLY_SCHEMA, [(*drop("near", "near_duplicate", "first")[:5], "web", "wiki", 0.875)])
    compare = reading("compare_drops", "global@documents", dropped="global@dropped", unless="local@dropped")
    make("only", compare, {"only": only}, "global@documents", "global@dropped", "local@dropped")
    train = [name for name in kept if name != "held"]
    halves = {"train": documents(*train), "heldout": documents("held")}
    make("split", reading("split", "global@documents"), halves, "global@documents")
    safe = {
        "documents": documents("first", "plain", "unpacked", "copy"),
        "dropped": dropped(drop("leaky", "leak_ngram", "held", 3)),
    }
    leaks = reading("decontaminate", "split@train", against=["split@heldout"], tests=LEAKS)
    make("safe", leaks, safe, "split@train", "split@heldout")
    make("rows", reading("pack", "safe@documents"), packs("first", "plain"), "safe@documents")
    for seed in (1, 2):
        make(f"mixed[seed={seed}]", reading("pack", "local@documents"), packs("near"), "local@documents")
    return store


def fates(store: Store, name: str) -> dict[str, str]:
    return {step.run.partition("/")[2]: step.fate for step in why(store, "made", IDS[name]).steps}


START = {"corpus": "came in", "planted": "kept", "clean": "kept", "index": "indexed"}
MIXED = {"mixed[seed=1]": "in no row", "mixed[seed=2]": "in no row"}


def test_every_stage_that_it_came_to_tells_what_it_did(store: Store) -> None:
    assert fates(store, "short") == {"corpus": "came in", "planted": "kept", "clean": "dropped"}
    both = {**START, "global": "kept", "local": "kept", **MIXED, "split": "train"}
    assert fates(store, "plain") == {**both, "safe": "kept", "rows": "packed"}
    assert fates(store, "unpacked") == {**both, "safe": "kept", "rows": "in no row"}
    assert fates(store, "leaky") == {**both, "safe": "dropped"}
    assert fates(store, "held") == {**both, "split": "heldout"}
    late = {"global": "dropped", "local": "kept", "mixed[seed=1]": "packed", "mixed[seed=2]": "packed"}
    assert fates(store, "near") == {**START, **late, "only": "listed"}
    planted = why(store, "made", IDS["copy"])
    assert (planted.steps[0].fate, planted.steps[0].detail) == ("planted", f"a copy of {IDS['plain']}")
    assert planted.document.locator == "file.txt#copy"


def test_each_branch_has_an_answer_of_its_own(store: Store) -> None:
    found = why(store, "made", IDS["near"])
    ways = {(way.runs[-1], way.fate, way.survived): way.runs[:-1] for way in found.branches}
    before = ("made/corpus", "made/planted", "made/clean")
    assert ways == {
        ("made/global", "dropped", False): before,
        ("made/mixed[seed=1]", "packed", True): (*before, "made/local"),
        ("made/mixed[seed=2]", "packed", True): (*before, "made/local"),
    }
    lines = found.lines()
    assert "branch to dropped at made/global (near_duplicate)" in lines
    assert "branch to packed at made/mixed[seed=1] (4 tokens in 1 rows, at 2 places of the training order)" in lines


def test_a_drop_tells_what_was_measured_against_what(store: Store) -> None:
    dropped = {name: why(store, "made", IDS[name]).steps for name in ("short", "near", "far", "leaky")}
    told = {name: next(step.drop for step in steps if step.drop) for name, steps in dropped.items()}
    bands = {"made/index.bands": 9, "made/index.rows": 13}
    assert {name: (drop.reason, drop.measured, drop.thresholds) for name, drop in told.items()} == {
        "short": ("least_chars", 12, {"steps.1.chars": 40}),
        "near": ("near_duplicate", 0.875, {"method.verify": VERIFY, **bands}),
        "far": ("exact_duplicate", 1.0, {}),
        "leaky": ("leak_ngram", 3, {"tests.1.words": 13, "tests.1.least": 2}),
    }


def stand_in(store: Store, name: str) -> Any:
    found = next(step.drop for step in why(store, "made", IDS[name]).steps if step.drop)
    assert found.stands_for is not None
    return found.stands_for


def test_the_document_that_stands_for_it_is_told_with_its_fate(store: Store) -> None:
    first = stand_in(store, "near")
    assert (first.document.id, first.document.locator, first.document.line) == (
        IDS["first"],
        "file.txt#first",
        "first text",
    )
    assert (first.found_in, first.similarity, first.survived) == ("made/global@documents", 0.875, True)
    assert [end.line() for end in first.ends] == [
        "packed at made/rows (4 tokens in 1 rows, at 2 places of the training order)"
    ]
    leaky = stand_in(store, "far")
    assert (leaky.survived, [end.line() for end in leaky.ends]) == (False, ["dropped at made/safe (leak_ngram)"])
    held = stand_in(store, "leaky")
    assert (held.found_in, held.similarity, held.ends) == ("made/split@heldout", None, ())
    assert stand_in_lines(store, "leaky")[-1] == "    is a protected document"


def stand_in_lines(store: Store, name: str) -> list[str]:
    lines = why(store, "made", IDS[name]).lines()
    begin = next(number for number, line in enumerate(lines) if "stands for it" in line)
    return lines[begin : begin + 4]


def test_id_prefix_and_locator_name_the_same_document(store: Store) -> None:
    whole = why(store, "made", IDS["near"])
    assert why(store, "made", IDS["near"][:6]) == whole
    assert why(store, "made", "file.txt#near") == whole


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("22222", "'22222' is too short for an id; write at least 6 digits of it"),
        ("2222223", f"made has no document '2222223'; nearest: {'2' * 32}"),
        ("c0ffff", f"made has no document 'c0ffff'; nearest: {IDS['copy']}"),
        ("file.txt#f", "no document 'file.txt#f'; nearest: file.txt#far, file.txt#first"),
        ("nowhere", "made has no document 'nowhere'"),
    ],
)
def test_a_document_that_nobody_knows(store: Store, text: str, told: str) -> None:
    with pytest.raises(SpecError) as caught:
        why(store, "made", text)
    assert told in str(caught.value)


def test_a_prefix_of_several_wants_more_digits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.report.why.LEAST_DIGITS", 0)
    with pytest.raises(
        SpecError, match=r"9 documents of made begin with '': 0{32}, 1{32}, .*, \.\.\.; write more digits"
    ):
        why(store, "made", "")


def test_what_is_not_built_is_said(store: Store) -> None:
    found = why(store, "made", IDS["near"], ("made/rows", "made/later"))
    assert found.not_built == ("made/later",)
    assert found.lines()[-1] == "not built, so not looked at: made/later"


def test_runs_stand_below_those_they_read(store: Store) -> None:
    runs = data_runs(store, "made")
    order = list(runs)
    reads = [
        (order.index(item.run), order.index(run)) for run, m in runs.items() for i in m.inputs.values() for item in i
    ]
    assert len(reads) == 16
    assert all(before < after for before, after in reads)


def test_nothing_built_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="nothing of made is built"):
        why(Store(tmp_path), "made", "222222")
