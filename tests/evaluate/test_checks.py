"""Claims as checks: each kind holds and fails on small inputs, and a verdict follows from the claim's class."""

from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.artifacts.draft import Draft
from engine.artifacts.manifest import Manifest, content_digest
from engine.artifacts.read import Input, Inputs
from engine.data.documents import SCHEMA, Document
from engine.evaluate.checks import check, check_claims, judged
from engine.evaluate.finding import Finding
from engine.evaluate.spec import AtMost, Claim, Claims, Disjoint, EqualContent
from engine.evaluate.statistics.judge import Holds
from engine.evaluate.verdict import metrics
from engine.spec.canonical import canonical, digest
from engine.spec.errors import ArtifactError

ZERO = "0" * 64


def source(draft: Draft, ref: str, metrics: dict[str, Any] | None = None) -> Input:
    """An input over an output of the draft."""
    output = ref.partition("@")[2]
    outputs = {output: draft.outputs()[output]}
    manifest = Manifest(
        format=1,
        run=f"toy/{ref.partition('@')[0]}",
        recipe=ZERO,
        code=ZERO,
        content=content_digest(outputs, metrics or {}),
        stage={"kind": "test"},
        inputs={},
        outputs=outputs,
        metrics=metrics or {},
    )
    return Input(ref, manifest.run, output, draft.folder / output, outputs[output].digest, manifest)


def inputs(*found: Input) -> Inputs:
    return Inputs({item.ref: (item,) for item in found})


@pytest.fixture(name="draft")
def _draft(tmp_path: Path) -> Draft:
    return Draft(tmp_path)


def put_file(draft: Draft, output: str, text: str) -> None:
    draft.json(output, "value.json", text)
    draft.close(output)


def put_documents(draft: Draft, output: str, texts: Sequence[tuple[str, str, str]]) -> None:
    """Documents of (domain, group, text)."""
    documents = [
        Document(digest([output, n])[:32], "s", domain, group, "l", "MIT", text)
        for n, (domain, group, text) in enumerate(texts)
    ]
    columns = [pa.array(column, pa.string()) for column in zip(*map(astuple, documents), strict=True)]
    with draft.table(output, SCHEMA) as table:
        table.write(pa.RecordBatch.from_arrays(columns, schema=SCHEMA))
    draft.close(output)


def claim(check: dict[str, Any], class_: str = "invariant") -> Claim:
    return Claim.model_validate_json(canonical({"id": "one", "class": class_, "says": "it is so", "check": check}))


@pytest.mark.parametrize(("right", "holds"), [("same", True), ("other", False)])
def test_equal_content_compares_digests(draft: Draft, right: str, holds: bool) -> None:
    put_file(draft, "step-1", "same")
    put_file(draft, "step-2", right)
    draft2 = Draft(draft.folder)
    wanted = EqualContent.model_validate({"kind": "equal_content", "left": "a@step-1", "right": "b@step-2"})
    found = check(wanted, inputs(source(draft2, "a@step-1"), source(draft2, "b@step-2")), draft.folder)
    assert found.holds == ("yes" if holds else "no")
    assert set(found.numbers) == {"a@step-1", "b@step-2"}


def at_most(factor: float, key: str = "all.ppl") -> AtMost:
    side = {"of": "p@scores", "key": "unigram.ppl"}
    left = {"of": "p@scores", "key": key}
    return AtMost.model_validate({"kind": "at_most", "left": left, "factor": factor, "right": side})


@pytest.mark.parametrize(("factor", "holds"), [(0.5, True), (0.25, True), (0.2, False)])
def test_at_most_compares_metrics(draft: Draft, factor: float, holds: bool) -> None:
    put_file(draft, "scores", "x")
    found = inputs(source(draft, "p@scores", {"all": {"ppl": 25.0}, "unigram": {"ppl": 100}}))
    finding = check(at_most(factor), found, draft.folder)
    assert finding.holds == ("yes" if holds else "no")
    assert finding.numbers == {"left": 25.0, "right": 100.0, "factor": factor, "bound": factor * 100}
    assert finding.threshold == f"p all.ppl <= {factor} * p unigram.ppl"


@pytest.mark.parametrize(("key", "says"), [("all.perplexity", "it has ppl"), ("all", "not a number")])
def test_a_metric_that_is_not_reported_is_an_error(draft: Draft, key: str, says: str) -> None:
    put_file(draft, "scores", "x")
    found = inputs(source(draft, "p@scores", {"all": {"ppl": 25.0}, "unigram": {"ppl": 100}}))
    with pytest.raises(ArtifactError, match=says):
        check(at_most(0.5, key), found, draft.folder)


TRAIN = [("wiki", "g1", "one"), ("wiki", "g2", "two"), ("code", "g1", "three")]


@pytest.mark.parametrize(
    ("heldout", "texts", "groups"),
    [
        ([("wiki", "g3", "four"), ("news", "g1", "five")], 0, 0),  # g1 of another domain is another group
        ([("news", "g9", "two"), ("news", "g8", "two")], 1, 0),
        ([("code", "g1", "six")], 0, 1),
    ],
)
def test_disjoint_finds_shared_texts_and_groups(
    draft: Draft, heldout: list[tuple[str, str, str]], texts: int, groups: int
) -> None:
    put_documents(draft, "train", TRAIN)
    put_documents(draft, "heldout", heldout)
    wanted = Disjoint.model_validate({"kind": "disjoint", "left": "s@train", "right": "s@heldout"})
    finding = check(wanted, inputs(source(draft, "s@train"), source(draft, "s@heldout")), draft.folder)
    assert (finding.holds == "yes") is (texts == groups == 0)
    assert (finding.numbers["shared_texts"], finding.numbers["shared_groups"]) == (texts, groups)
    assert finding.numbers["left_documents"] == 3
    assert not list(draft.folder.glob(".keys-*"))


@pytest.mark.parametrize(
    ("class_", "holds", "verdict"),
    [
        ("paper", "yes", "holds"),
        ("paper", "no", "not reproduced"),
        ("paper", "undecided", "undecided"),
        ("invariant", "no", "fails"),
        ("invariant", "undecided", "undecided"),
        ("lore", "no", "fails"),
    ],
)
def test_the_verdict_follows_from_class_and_finding(class_: str, holds: Holds, verdict: str) -> None:
    wanted = claim({"kind": "equal_content", "left": "a@x", "right": "b@x"}, class_)
    assert judged(wanted, Finding(holds, "a = b", {})).verdict == verdict


def test_failing_claims_are_results_and_classes_are_counted_apart(draft: Draft) -> None:
    put_file(draft, "scores", "x")
    found = inputs(source(draft, "p@scores", {"all": {"ppl": 25.0}, "unigram": {"ppl": 100}}))
    checks = [("a", "paper", 0.5), ("b", "paper", 0.1), ("c", "invariant", 0.1), ("d", "invariant", 0.2)]
    claims = [
        {"id": name, "class": class_, "says": "so", "check": at_most(factor).model_dump()}
        for name, class_, factor in checks
    ]
    stage = Claims.model_validate_json(canonical({"kind": "claims", "claims": claims}))
    result = metrics(check_claims(stage, found, draft.folder))
    assert result["counts"] == {"paper": {"holds": 1, "not reproduced": 1}, "invariant": {"fails": 2}}
    assert list(result["verdicts"]) == ["a", "b", "c", "d"]
    assert canonical(result)


def test_traced_gives_the_first_problem(draft: Draft, monkeypatch: pytest.MonkeyPatch) -> None:
    with draft.array("rows", "ids", np.dtype(np.uint16), (2,)) as ids:
        ids.write(np.zeros((3, 2), np.uint16))
    draft.close("rows")
    for output in ("provenance", "train", "model"):
        put_file(draft, output, output)
    monkeypatch.setattr("engine.evaluate.checks.check_rows", lambda *_: ["row 2 is not its text"])
    refs = {"rows": "r@rows", "provenance": "r@provenance", "documents": "s@train", "tokenizer": "t@model"}
    wanted = claim({"kind": "traced", **refs}).check
    finding = check(wanted, inputs(*(source(draft, ref) for ref in refs.values())), draft.folder)
    assert finding.holds == "no"
    assert finding.numbers == {"rows": 3, "problems": 1, "first": "row 2 is not its text"}
