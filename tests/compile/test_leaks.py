"""Rules of leaks: every task of a spec is among what the training text was held against, and indexes are alike."""

from pathlib import Path

import pytest

from tests.compile.test_check import broken

EXAM = "ab" * 32
OTHER = "cd" * 32
STAGES = f"""
  exam:
    kind: ingest
    sources:
      - kind: file
        name: exam
        domain: exam
        path: texts/exam.zip
        sha256: {EXAM}
        licence: CC0-1.0
        members: ["arc/*.jsonl"]
        format: {{kind: jsonl, text: query}}
      - kind: hf
        name: hub
        domain: exam
        dataset: some/exam
        revision: {"1a" * 20}
        path: test.parquet
        sha256: {OTHER}
        licence: CC0-1.0
        format: {{kind: parquet}}
  ours:
    kind: minhash
    documents: unique@documents
    seed: 1
  theirs:
    kind: minhash
    documents: exam@documents
    seed: 1
  free:
    kind: decontaminate
    documents: split@train
    against: [split@heldout, exam@documents]
    tests: [{{kind: exact}}, {{kind: near, bands: [ours@bands, theirs@bands]}}, {{kind: ngram}}]
  rows:
    kind: pack
    documents: free@documents
"""
TASK = """
  scored:
    kind: lm_eval
    checkpoint: resumed@final
    tokenizer: tokenizer@model
    context_tokens: 32
    tasks:
      - kind: offline
        name: arc
        set: {kind: arc}
        data: {kind: file, path: texts/exam.zip, sha256: SHA256, licence: CC0-1.0, members: [MEMBER]}
      - {kind: library, name: exam, revision: REVISION, shots: 0}
      - {kind: published, name: mmlu, origin: cais/mmlu, shots: 5, items: 9, tokens: 9}
claims:
"""


def spec(*edits: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Edits of the toy spec: a corpus held against an exam, and a checkpoint scored by it."""
    scored = TASK.replace("SHA256", EXAM).replace("MEMBER", "arc/easy.jsonl").replace("REVISION", "1a" * 20)
    stages = (("\n  rows:\n    kind: pack\n    documents: split@train\n", STAGES), ("\nclaims:\n", scored))
    return (*stages, ("documents: split@train, tokenizer", "documents: free@documents, tokenizer"), *edits)


def test_every_task_is_protected(tmp_path: Path) -> None:
    assert broken(tmp_path, *spec()) == []


NAMES = "the training text was held against the n-grams of split@heldout, exam@documents, which do not hold the task"
CASES = {
    "file": (
        (f"exam.zip, sha256: {EXAM}", f"exam.zip, sha256: {'ef' * 32}"),
        f"stages.scored.tasks.0: {NAMES} 'arc'; add its file, with sha256 {'ef' * 32} and members [arc/easy.jsonl], to"
        " the sources of an ingest stage in `against`, or leave the task out",
    ),
    "member": (("members: [arc/easy.jsonl]", "members: [piqa/easy.jsonl]"), f"stages.scored.tasks.0: {NAMES} 'arc'"),
    "not in against": (
        ("against: [split@heldout, exam@documents]", "against: [split@heldout]"),
        "n-grams of split@heldout, which do not hold the task 'arc'",
    ),
    "revision": (
        (f"name: exam, revision: {'1a' * 20}", f"name: exam, revision: {'2b' * 20}"),
        f"stages.scored.tasks.1: {NAMES} 'exam'; add its data set, {{kind: hf, revision: {'2b' * 20}}}, to the sources",
    ),
    "indexes": (
        ("documents: exam@documents\n    seed: 1", "documents: exam@documents\n    seed: 2"),
        "stages.free.tests.1.bands: the indexes differ in more than their documents",
    ),
    "type of against": (
        ("exam@documents]", "unique@dropped]"),
        "stages.free.against.1: unique@dropped is dropped documents, but against wants documents",
    ),
    "type of bands": (("theirs@bands", "exam@documents"), "stages.free.tests.1.bands.1: exam@documents is documents"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_leak_that_the_spec_leaves_open_is_found(case: str, tmp_path: Path) -> None:
    edit, message = CASES[case]
    found = broken(tmp_path, *spec(edit))
    assert any(message in text for text in found), found


@pytest.mark.parametrize(
    "edit",
    [
        (", {kind: ngram}]", "]"),
        ("rows:\n    kind: pack\n    documents: free@documents", "rows:\n    kind: pack\n    documents: split@train"),
    ],
    ids=["no test for n-grams", "not trained on"],
)
def test_nothing_is_asked_of_what_was_not_held_against_ngrams(edit: tuple[str, str], tmp_path: Path) -> None:
    other = (f"exam.zip, sha256: {EXAM}", f"exam.zip, sha256: {'ef' * 32}")
    assert broken(tmp_path, *spec(edit, other)) == []
