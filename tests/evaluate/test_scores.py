"""A checkpoint scored on held-out documents, from tokenizer and rows to the file of scores; and its claims."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import JsonValue

from engine.artifacts.draft import Draft
from engine.artifacts.read import Input, Inputs
from engine.data.documents import Document
from engine.evaluate.run import run_claims, run_perplexity
from engine.evaluate.spec import Claims, PerplexityPlan
from engine.models.init import initial_weights
from engine.models.spec import Llama
from engine.spec.canonical import canonical
from engine.spec.errors import ArtifactError
from tests.data.built import Built, bpe, build, document, documents, packed, placement, plan, prose, trained

MODEL = Llama(kind="llama", vocabulary=400, layers=1, width=16, heads=2, kv_heads=1, mlp=24, context=32, tied=True)
HELDOUT = [*prose("news", 3, 30), document("news", 8, "two words"), *prose("wiki", 2, 50)]


@pytest.fixture(name="given", scope="module")
def _given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Input]:
    """Everything that a perplexity stage reads, by reference."""
    folder = tmp_path_factory.mktemp("given")
    corpus = documents(folder, [*prose("news", 6), *prose("wiki", 6)])
    model = trained(folder, corpus, bpe()).outputs["model"]
    rows = packed(folder, corpus, model, plan())
    checkpoint = build(folder, "stage1", lambda out: put_checkpoint(out, MODEL))
    return {
        "corpus@documents": corpus,
        "heldout@documents": documents(folder, HELDOUT, "heldout"),
        "tokenizer@model": model,
        "rows@rows": rows.outputs["rows"],
        "rows@provenance": rows.outputs["provenance"],
        "stage1@step-0": checkpoint.outputs["step-0"],
    }


def put_checkpoint(out: Draft, model: Llama) -> dict[str, JsonValue]:
    out.tensors("step-0", "model", initial_weights(model, 1))
    out.close("step-0")
    return {}


def stage(**changes: Any) -> PerplexityPlan:
    fields = {
        "kind": "perplexity",
        "checkpoint": "stage1@step-0",
        "documents": "heldout@documents",
        "tokenizer": "tokenizer@model",
        "window_tokens": 32,
        "batch_rows": 4,
        "baseline": {"kind": "unigram", "rows": "rows@rows"},
        "determinism": "repeat",
        "numerics": {"threads": torch.get_num_threads()},
        "model": MODEL,
        "tokenizer_kind": "sentencepiece_bpe",
    }
    return PerplexityPlan.model_validate_json(canonical(fields | changes))


def scored(folder: Path, given: dict[str, Input], wanted: PerplexityPlan) -> Built:
    inputs = Inputs({ref: (item,) for ref, item in given.items()})
    return build(folder, "perplexity", lambda out: run_perplexity(wanted, inputs, out, placement(folder)))


def test_scores_by_domain_and_for_all(given: dict[str, Input], tmp_path: Path) -> None:
    built = scored(tmp_path, given, stage())
    scores: Any = built.metrics
    domains = scores["domains"]
    assert list(domains) == ["news", "wiki"]
    for name in ("documents", "tokens", "words", "bytes"):
        assert scores["all"][name] == sum(domain[name] for domain in domains.values())
        assert scores["all"][name] == scores["unigram"]["all"][name]
    assert scores["all"]["documents"] == len(HELDOUT)
    assert scores["all"]["words"] == sum(len(item.text.split()) for item in HELDOUT)
    assert scores["all"]["bytes"] == sum(len(item.text.encode()) for item in HELDOUT)
    assert scores["all"]["nll"] == pytest.approx(sum(domain["nll"] for domain in domains.values()))


def test_a_model_that_has_learnt_nothing_guesses_and_the_unigram_beats_it(
    given: dict[str, Input], tmp_path: Path
) -> None:
    scores: Any = scored(tmp_path, given, stage()).metrics
    assert math.log(scores["all"]["token_perplexity"]) == pytest.approx(math.log(MODEL.vocabulary), rel=0.01)
    assert scores["unigram"]["all"]["token_perplexity"] < scores["all"]["token_perplexity"]


def test_the_output_is_the_metrics(given: dict[str, Input], tmp_path: Path) -> None:
    built = scored(tmp_path, given, stage())
    assert json.loads((built.outputs["scores"].folder / "scores.json").read_text()) == built.metrics


def test_two_runs_give_one_digest_and_the_batch_moves_no_score(given: dict[str, Input], tmp_path: Path) -> None:
    first, again = (scored(tmp_path / name, given, stage()) for name in ("first", "again"))
    assert first.digests() == again.digests()
    alone: Any = scored(tmp_path / "alone", given, stage(batch_rows=1)).metrics
    other: Any = first.metrics
    assert alone["all"]["nll"] == pytest.approx(other["all"]["nll"], rel=1e-6)
    assert alone["unigram"] == other["unigram"]


def test_weights_of_another_model_are_refused(given: dict[str, Input], tmp_path: Path) -> None:
    other = MODEL.replace(layers=2)
    with pytest.raises(ArtifactError, match="step-0"):
        scored(tmp_path, given, stage(model=other))


def claims(*checks: dict[str, Any]) -> Claims:
    listed = [{"id": f"c{n}", "class": "invariant", "says": "so", "check": check} for n, check in enumerate(checks)]
    return Claims.model_validate_json(canonical({"kind": "claims", "claims": listed}))


def verdicts_of(folder: Path, given: dict[str, Input], wanted: Claims) -> list[str]:
    inputs = Inputs({ref: (item,) for ref, item in given.items()})
    built = build(folder, "claims", lambda out: run_claims(wanted, inputs, out, placement(folder)))
    written = json.loads((built.outputs["verdicts"].folder / "claims.json").read_text())
    return [verdict["verdict"] for verdict in written]


@pytest.mark.parametrize(
    ("change", "verdict"),
    [(lambda text: text, "holds"), (lambda text: text.replace("graph", "grape"), "fails")],
)
def test_rows_trace_to_their_documents_and_to_no_others(
    given: dict[str, Input], tmp_path: Path, change: Callable[[str], str], verdict: str
) -> None:
    items = [*prose("news", 6), *prose("wiki", 6)]
    changed = [Document(*(getattr(item, name) for name in FIELDS), change(item.text)) for item in items]
    corpus = documents(tmp_path, changed)
    refs = {"rows": "rows@rows", "provenance": "rows@provenance", "documents": "corpus@documents"}
    check = {"kind": "traced", "tokenizer": "tokenizer@model", **refs}
    assert verdicts_of(tmp_path, {**given, "corpus@documents": corpus}, claims(check)) == [verdict]


FIELDS = ("id", "source", "domain", "group", "locator", "licence")


def test_claims_are_judged_on_finished_scores(given: dict[str, Input], tmp_path: Path) -> None:
    scores = scored(tmp_path, given, stage()).outputs["scores"]
    model = {"of": "perplexity@scores", "key": "all.token_perplexity"}
    baseline = {"of": "perplexity@scores", "key": "unigram.all.token_perplexity"}
    wide = {"kind": "at_most", "left": model, "factor": 0.5, "right": baseline}
    apart = {"kind": "disjoint", "left": "corpus@documents", "right": "heldout@documents"}
    found = verdicts_of(tmp_path, {**given, "perplexity@scores": scores}, claims(wide, apart))
    assert found == ["fails", "fails"]  # untrained; and prose() begins both sets with the same texts
