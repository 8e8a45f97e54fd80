"""Rows drawn by weight: a permutation without memory, shares as declared, a longer sequence extends a shorter one."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.artifacts.read import Input, Inputs, read_array
from engine.data.documents import DROPPED_SCHEMA
from engine.data.mix.copies import copies
from engine.data.mix.draw import Pool, draw, shares_of_rows
from engine.data.mix.permutation import Permutation
from engine.data.provenance import check_rows, trace_row
from engine.data.run import run_pack
from engine.data.spec import PackPlan
from engine.spec.errors import ArtifactError
from engine.spec.ref import Ref
from tests.data.built import Built, bpe, build, document, documents, placement, prose, trained


@given(st.integers(1, 3000), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_a_permutation_holds_every_number_once_and_goes_back(n: int, seed: int) -> None:
    order = Permutation(n, seed, "data", "mix")
    numbers = order.at(np.arange(n))
    assert sorted(numbers.tolist()) == list(range(n))
    assert (order.places_of(numbers) == np.arange(n)).all()


def test_golden_permutation() -> None:
    assert Permutation(10, 1, "data", "mix", "wiki", "epoch-0").at(np.arange(10)).tolist() == GOLDEN
    epochs = [Permutation(1000, 1, "data", "mix", "wiki", f"epoch-{e}").at(np.arange(1000)) for e in (0, 1)]
    assert (epochs[0] == epochs[1]).sum() < 10


POOLS = (Pool("a", 0, 7, 0.5), Pool("b", 7, 40, 0.3), Pool("c", 47, 1, 0.2))


def drawn(positions: int, seed: int = 1) -> tuple[list[int], list[int]]:
    blocks = list(draw(POOLS, positions, seed))
    return np.concatenate([b[0] for b in blocks]).tolist(), np.concatenate([b[1] for b in blocks]).tolist()


def test_a_longer_sequence_extends_a_shorter_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, chosen = drawn(5000)
    assert drawn(300) == (rows[:300], chosen[:300])
    monkeypatch.setattr("engine.data.mix.draw.BLOCK", 97)
    assert drawn(5000) == (rows, chosen)
    assert drawn(300, seed=2)[0] != rows[:300]


def test_a_domain_is_read_through_before_a_row_comes_again() -> None:
    rows, chosen = drawn(4000)
    for index, pool in enumerate(POOLS):
        mine = [row - pool.base for row, pool_index in zip(rows, chosen, strict=True) if pool_index == index]
        assert abs(len(mine) / 4000 - pool.share) < 0.03
        for begin in range(0, len(mine) - pool.rows, pool.rows):
            assert sorted(mine[begin : begin + pool.rows]) == list(range(pool.rows))


def test_a_share_of_documents_weighs_with_their_length() -> None:
    shares = shares_of_rows(
        {"long": 0.5, "short": 0.5}, "documents", {"long": 90, "short": 20}, {"long": 10, "short": 20}
    )
    assert shares == {"long": 0.9, "short": 0.1}
    assert shares_of_rows({"a": 1.0}, "tokens", {"a": 1}, {"a": 1}) == {"a": 1.0}


CORPUS = prose("wiki", 30) + prose("code", 20) + prose("news", 4)
MIX = {"wiki": 0.6, "code": 0.4}


def packed(folder: Path, mix: dict[str, Any], rows: int = 400, workers: int = 1, **fields: Any) -> Built:
    stage = PackPlan.model_validate(
        {
            "kind": "pack",
            "documents": "corpus@documents",
            "tokenizer": "tokenizer@model",
            "row_tokens": 32,
            "mix": {"kind": "sample", "rows": rows, "weights": mix, **fields},
            "seed": 1,
            "vocabulary": 400,
            "tokenizer_kind": "sentencepiece_bpe",
        },
        strict=False,
    )
    folder.mkdir(exist_ok=True)
    inputs = Inputs({Ref("corpus@documents"): (CORPORA[0],), Ref("tokenizer@model"): (CORPORA[1],), **EXTRA})
    return build(folder, "rows", lambda out: run_pack(stage, inputs, out, placement(folder, workers)))


CORPORA: list[Input] = []
EXTRA: dict[Ref, tuple[Input, ...]] = {}


@pytest.fixture(scope="module", autouse=True)
def corpora(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("mix")
    corpus = documents(folder, CORPUS)
    CORPORA[:] = [corpus, trained(folder, corpus, bpe()).outputs["model"]]


def weights(**shares: float) -> dict[str, Any]:
    return {"kind": "weights", "recipe": "r", "recipes": {"r": shares}, "unit": "tokens"}


def test_rows_are_drawn_stored_once_and_traced(tmp_path: Path) -> None:
    built = packed(tmp_path, weights(**MIX), tolerance=0.1)
    rows, provenance = built.outputs["rows"], built.outputs["provenance"]
    ids, order = read_array(rows.folder, "ids"), read_array(rows.folder, "order")
    assert len(order) == 400
    assert sorted(set(order.tolist())) == list(range(len(ids)))
    assert check_rows(rows, provenance, *CORPORA) == []
    domains = {segment.domain for position in range(9) for segment in trace_row(rows, provenance, CORPORA[0], position)}
    assert domains == {"wiki", "code"}
    metrics = built.metrics
    assert metrics["declared"] == {"code": 0.4, "wiki": 0.6}
    assert metrics["share_off"] == max(abs(metrics["share"][name] - share) for name, share in MIX.items())
    assert sum(metrics["positions_of"].values()) == metrics["positions"] == 400
    assert sum(metrics["rows"].values()) == len(ids)


def sequence(built: Built) -> np.ndarray:
    folder = built.outputs["rows"].folder
    return np.asarray(read_array(folder, "ids"))[read_array(folder, "order")]


def test_workers_change_nothing_and_a_longer_run_begins_with_a_shorter(tmp_path: Path) -> None:
    one, two = (packed(tmp_path / f"w{w}", weights(**MIX), workers=w, tolerance=0.1) for w in (1, 2))
    assert {k: v.digest for k, v in one.outputs.items()} == {k: v.digest for k, v in two.outputs.items()}
    short = packed(tmp_path / "short", weights(**MIX), rows=100, tolerance=0.1)
    texts = [sequence(built)[:100] for built in (one, short)]
    assert (texts[0] == texts[1]).all()


@pytest.mark.parametrize(
    ("mix", "fields", "told"),
    [
        (
            weights(wiki=0.5, books=0.5),
            {},
            "names books, which no document of test/corpus has; there are code, news, wiki",
        ),
        (weights(wiki=1.0), {"most_repeats": {"wiki": 0.5}}, r"wiki \d\.\d\d times, more than 0\.5"),
        (weights(**MIX), {"rows": 20, "tolerance": 0.0001}, r"more than the tolerance 0\.0001: code 0\.4000 as"),
    ],
)
def test_a_mix_that_cannot_be_is_told(tmp_path: Path, mix: dict[str, Any], fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ArtifactError, match=told):
        packed(tmp_path, mix, **fields)


def test_a_domain_that_fills_no_row_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = documents(tmp_path, [*CORPUS, document("tiny", 1, "few words")])
    monkeypatch.setitem(globals(), "CORPORA", [corpus, CORPORA[1]])
    with pytest.raises(ArtifactError, match=r"too small for one row: tiny \(\d+ tokens\)"):
        packed(tmp_path, weights(wiki=0.5, tiny=0.5))


def drops(folder: Path, name: str, *pairs: tuple[str, str]) -> Input:
    def write(out: Any) -> dict[str, Any]:
        table = out.table("dropped", DROPPED_SCHEMA)
        rows = [(one, "s", "wiki", "near_duplicate", other, 0.9) for one, other in pairs]
        columns = [pa.array(column, f.type) for column, f in zip(zip(*rows, strict=True), DROPPED_SCHEMA, strict=True)]
        table.write(pa.RecordBatch.from_arrays(columns, schema=DROPPED_SCHEMA))
        table.close()
        out.close("dropped")
        return {}

    return build(folder, name, write).outputs["dropped"]


def test_copies_follow_chains_through_several_stages(tmp_path: Path) -> None:
    exact = drops(tmp_path, "exact", ("b", "a"), ("c", "a"), ("x", ""))
    near = drops(tmp_path, "near", ("a", "d"), ("e", "d"))
    assert copies([near, exact]) == copies([exact, near]) == {"d": 4}
    with pytest.raises(ArtifactError, match="was dropped twice"):
        copies([exact, exact])
    with pytest.raises(ArtifactError, match="in a circle"):
        copies([drops(tmp_path, "ring", ("p", "q"), ("q", "p"))])


def test_each_document_as_often_as_it_stood_in_the_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = CORPUS[0]
    dropped = drops(tmp_path, "dropped", *((f"{n:032x}", kept.id) for n in range(30)))
    monkeypatch.setitem(EXTRA, Ref("unique@dropped"), (dropped,))
    built = packed(tmp_path, {"kind": "copies", "dropped": ["unique@dropped"]}, rows=2000, tolerance=0.05)
    sizes = {name: sum(len(d.text) for d in CORPUS if d.domain == name) for name in ("code", "news", "wiki")}
    sizes["wiki"] += 30 * len(kept.text)
    for name, size in sizes.items():
        assert abs(built.metrics["declared"][name] - size / sum(sizes.values())) < 0.01
        assert abs(built.metrics["share"][name] - size / sum(sizes.values())) < 0.04
    assert check_rows(built.outputs["rows"], built.outputs["provenance"], *CORPORA) == []


GOLDEN = [8, 6, 1, 2, 5, 9, 4, 0, 7, 3]
