"""The licences of all that a checkpoint saw, counted again from the rows one by one."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import call, edit
from tests.cli.trained import train


@pytest.fixture
def trained(built: Path) -> Path:
    train(built)
    train(built, "resumed")
    return built


def tokens_by_document(root: Path, steps: int) -> Counter[str]:
    """What the first steps of 4 rows each read, segment by segment."""
    rows = root / "data/artifacts/toy/rows"
    order, seen = np.load(rows / "rows/order.npy"), Counter[str]()
    segments = pq.read_table(rows / "provenance").to_pylist()
    for row in order[: 4 * steps].tolist():
        for segment in (item for item in segments if item["row"] == row):
            seen[segment["document"]] += segment["tokens"]
    return seen


@pytest.mark.parametrize(("checkpoint", "steps"), [("train@step-2", 2), ("train", 8), ("resumed@step-6", 6)])
def test_tokens_are_counted_as_often_as_they_were_seen(trained: Path, checkpoint: str, steps: int) -> None:
    data = call(trained, "licences", f"toy/{checkpoint}", "--json").json
    seen = tokens_by_document(trained, steps)
    known = {row["id"]: row for row in pq.read_table(trained / "data/artifacts/toy/split/train").to_pylist()}
    tokens, documents = Counter[str](), Counter[str]()
    for document, count in seen.items():
        tokens[known[document]["source"]] += count
        documents[known[document]["source"]] += 1
    assert data["tokens"] == steps * 4 * 32 == sum(tokens.values())
    assert {share["source"]: (share["documents"], share["tokens"]) for share in data["shares"]} == {
        source: (documents[source], tokens[source]) for source in tokens
    }
    assert data["licences"] == {"CC0-1.0": {"documents": len(seen), "tokens": data["tokens"]}}


def test_a_checkpoint_before_the_first_step_has_seen_nothing(trained: Path) -> None:
    said = call(trained, "licences", "toy/train@step-0")
    assert said.out.splitlines()[0] == "toy/train@step-0 has seen 0 tokens of 0 documents"
    assert "in its lineage, but seen in no token:\n  prose  CC0-1.0  file:texts/prose.txt\n" in said.out


def test_the_text_has_a_line_for_each_source(trained: Path) -> None:
    lines = call(trained, "licences", "toy/train").out.splitlines()
    assert lines[0].startswith("toy/train@step-8 has seen 1,024 tokens of ")
    assert [line.split()[1:3] for line in lines if line.startswith("CC0-1.0  ")][1:] == [
        ["notes", "notes"],
        ["prose", "prose"],
    ]


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [
        ("toy/rows", 2, "toy/rows is no checkpoint of a training run; write experiment/stage@step-N"),
        ("toy/train@log", 2, "toy/train@log is no checkpoint"),
        ("toy/train@step-3", 2, "toy/train has no output 'step-3'"),
        ("toy/perplexity", 1, "toy/perplexity is not built"),
    ],
)
def test_what_is_no_checkpoint_is_refused(trained: Path, name: str, code: int, told: str) -> None:
    said = call(trained, "licences", name)
    assert (said.code, said.out) == (code, "")
    assert told in said.err


def test_rows_that_do_not_add_up_are_refused(trained: Path) -> None:
    manifest = trained / "data/artifacts/toy/train/manifest.json"
    edit(manifest, '"row_tokens": 32', '"row_tokens": 16')
    said = call(trained, "licences", "toy/train@step-2")
    assert said.code == 1
    assert "toy/rows@provenance tells of 256 tokens, toy/train read 128" in said.err
