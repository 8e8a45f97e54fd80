"""Cross-stage rules: each broken on purpose in the toy spec, each found with its path."""

from pathlib import Path

import pytest

from engine.compile.check import problems
from engine.compile.lower import lower
from engine.experiment import Experiment
from engine.spec.load import load
from engine.train.spec import TrainPlan
from tests.conftest import TOY


def broken(tmp_path: Path, *edits: tuple[str, str]) -> list[str]:
    """The problems of the toy spec after some text in it was replaced, as `path: message`."""
    text = (TOY / "specs/toy/toy.yaml").read_text()
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "specs" / "toy" / "toy.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    found = problems(load(path, Experiment, tmp_path / "specs").value)
    return [f"{problem.path}: {problem.message}" for problem in found]


DEALT = "mix: {kind: deal, chunks: 2, repeats: {notes: 2}}"


def sampled(recipes: str) -> str:
    """A mix by weights."""
    weights = f"{{kind: weights, recipe: one, unit: tokens, recipes: {{{recipes}}}}}"
    return f"mix: {{kind: sample, rows: 60, weights: {weights}}}"


CASES = {
    "batch": (
        ("batch: {rows: 4, micro_rows: 2}", "batch: {rows: 5, micro_rows: 2}"),
        "stages.train.batch.rows: 5 rows",
    ),
    "vocabulary": (
        ("vocabulary: 400, train_chars", "vocabulary: 500, train_chars"),
        "the tokenizer 500; make them equal",
    ),
    "held-out": (
        ("documents: split@train\n    tokenizer", "documents: split@heldout\n    tokenizer"),
        "held-out documents",
    ),
    "step": (("checkpoint: train@step-4", "checkpoint: train@step-5"), "keeps 0, 2, 4, 6, 8"),
    "stage": (("documents: clean@documents", "documents: claen@documents"), "did you mean 'clean'?"),
    "output": (("documents: clean@documents", "documents: clean@document"), "did you mean 'documents'?"),
    "type": (("documents: clean@documents", "documents: clean@dropped"), "but documents wants documents"),
    "later": (("documents: corpus@documents", "documents: split@train"), "names no stage that can run before it"),
    "context": (("row_tokens: 32", "row_tokens: 64"), "rows of 64 tokens do not fit a context of 32"),
    "heads": (("width: 32, heads: 2", "width: 32, heads: 3"), "width 32 is no multiple of 3 heads"),
    "bf16 under avx2": (
        ("kind: perplexity", "kind: perplexity\n    kernels: {products: bf16}"),
        "kernels.products: bf16 products want numerics.instruction_set avx512 or amx",
    ),
    "graph of many shapes": (
        ("kind: perplexity", "kind: perplexity\n    kernels: {graph: inductor}"),
        "kernels.graph: a graph is compiled for one shape",
    ),
    "warm-up": (("warmup_steps: 2", "warmup_steps: 9"), "longer than the 8 steps"),
    "claim": (("left: train@final", "left: train@final-one"), "claims.0.check.left"),
    "claim id": (("id: traced", "id: resume"), "claims.1.id: the id 'resume' stands twice"),
    "source": (("name: notes\n", "name: prose\n"), "stages.corpus.sources.1.name: the source 'prose' stands twice"),
    "mix domain": (
        ("repeats: {notes: 2}", "repeats: {ntoes: 2}"),
        "stages.rows.mix.repeats.ntoes: no source has the domain 'ntoes'; the documents are of notes, prose"
        " (did you mean 'notes'?)",
    ),
    "repeat": (
        ("repeats: {notes: 2}", "repeats: {notes: 2.5}"),
        "stages.rows.mix.repeats.notes: a row cannot stand in 2.5 chunks of 2; write at most 2, or more chunks",
    ),
    "weights": (
        (DEALT, sampled("one: {prose: 0.6, notes: 0.3}")),
        "stages.rows.mix.weights.recipes.one: the shares sum to 0.9; they must sum to 1",
    ),
    "recipe": (
        (DEALT, sampled("other: {prose: 1.0}, ones: {notes: 1.0}")),
        "stages.rows.mix.weights.recipe: no recipe is called 'one'; there are other, ones (did you mean 'ones'?)",
    ),
    "domain of a recipe": (
        (DEALT, sampled("one: {prose: 0.6, ntoes: 0.4}")),
        "stages.rows.mix.weights.recipes.one.ntoes: no source has the domain 'ntoes'; the documents are of notes, prose"
        " (did you mean 'notes'?)",
    ),
    "repeated domain": (
        (DEALT, sampled("one: {prose: 0.6, notes: 0.4}").replace("rows: 60", "rows: 60, most_repeats: {books: 2}")),
        "stages.rows.mix.most_repeats.books: no source has the domain 'books'",
    ),
    "priority": (
        ("method: {kind: exact}", "method: {kind: exact}\n    keep: {priority: [notes, porse]}"),
        "stages.unique.keep.priority.1: no source has the domain 'porse'; the documents are of notes, prose"
        " (did you mean 'prose'?)",
    ),
    "priority of sources": (
        ("method: {kind: exact}", "method: {kind: exact}\n    keep: {by: source, priority: [notes, porse]}"),
        "stages.unique.keep.priority.1: no source has the name 'porse'; there are notes, prose (did you mean 'prose'?)",
    ),
    "priority twice": (
        ("method: {kind: exact}", "method: {kind: exact}\n    keep: {priority: [notes, prose, notes]}"),
        "stages.unique.keep.priority.2: the name 'notes' stands twice",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_broken_rule_is_found(case: str, tmp_path: Path) -> None:
    edit, message = CASES[case]
    found = broken(tmp_path, edit)
    assert any(message in text for text in found), found


ALIBI_GPT = (
    "kind: llama, vocabulary: 400, layers: 2, width: 32, heads: 2, kv_heads: 1, mlp: 64, context: 32, tied: true",
    "kind: alibi_gpt, vocabulary: 400, layers: 2, width: 32, heads: 2, mlp: 64, context: 32, position: {kind: alibi}",
)
ALIBI_GPT_CASES = {
    "heads": (("heads: 2, mlp", "heads: 3, mlp"), "stages.train.model.heads: width 32 is no multiple of 3 heads"),
    "odd channels": (
        ("{kind: alibi}", "{kind: partial_rotary, channels: 7}"),
        "stages.train.model.position.channels: 7 channels cannot turn in pairs inside a head of 16;"
        " write an even number up to 16",
    ),
    "channels": (
        ("{kind: alibi}", "{kind: partial_rotary, channels: 18}"),
        "stages.train.model.position.channels: 18 channels cannot turn in pairs",
    ),
}


@pytest.mark.parametrize("case", ALIBI_GPT_CASES)
def test_a_broken_rule_of_alibi_gpt_is_found(case: str, tmp_path: Path) -> None:
    edit, message = ALIBI_GPT_CASES[case]
    found = broken(tmp_path, ALIBI_GPT, edit)
    assert any(message in text for text in found), found


def test_all_problems_come_at_once_in_order(tmp_path: Path) -> None:
    found = broken(tmp_path, CASES["stage"][0], CASES["batch"][0], CASES["claim id"][0])
    assert next(text.partition(":")[0] for text in found) == "stages.unique.documents"
    assert len(found) >= 3


def test_the_toy_spec_is_sound_and_lowers(tmp_path: Path) -> None:
    assert broken(tmp_path) == []
    stages = lower(load(TOY / "specs/toy/toy.yaml", Experiment, TOY / "specs").value)
    assert list(stages)[-1] == "claims"
    train = stages["train"]
    assert isinstance(train, TrainPlan)
    assert (train.micro_batches, train.tokens_per_step, train.row_tokens) == (2, 128, 32)
    assert "train@step-8" in str(stages["perplexity"])  # `final` is settled


def test_domains_are_those_of_all_sources_upstream(tmp_path: Path) -> None:
    assert broken(tmp_path, ("repeats: {notes: 2}", "repeats: {notes: 2, prose: 0.5}")) == []


FIM = """
  fim:
    kind: fim
    rows: rows@rows
    provenance: rows@provenance
    documents: split@train
    tokenizer: tokenizer@model
    domains: [prose]
    seed: 1
"""
OTHER = """
  other:
    kind: pack
    documents: unique@documents
    tokenizer: tokenizer@model
    row_tokens: 32
    mix: {kind: deal, chunks: 1}
    seed: 1
"""
TRAIN = "\n  train:\n"
WITH_FIM = (TRAIN, FIM + TRAIN)
READS_FIM = ("rows: rows@rows\n    objective", "rows: fim@rows\n    objective")
FOUR_MORE = ("kind: llama, vocabulary: 400", "kind: llama, vocabulary: 404")
FIM_CASES = {
    "domain": (("domains: [prose]", "domains: [porse]"), "stages.fim.domains.0: no source has the domain 'porse'"),
    "provenance": (
        ("provenance: rows@provenance", "provenance: other@provenance"),
        "stages.fim.provenance: it is not that of rows@rows; name the provenance of the same stage",
    ),
    "documents": (
        (
            "provenance: rows@provenance\n    documents: split@train",
            "provenance: rows@provenance\n    documents: unique@documents",
        ),
        "stages.fim.documents: rows@rows were packed with split@train; write that",
    ),
    "form of a form": (
        ("rows: rows@rows\n    provenance: rows", "rows: first@rows\n    provenance: first"),
        "stages.fim.rows: first@rows are in fill-in-the-middle form already; name the rows of a stage `pack`",
    ),
    "named": (
        ("domains: [prose]", "domains: [prose]\n    sentinels: {kind: named}"),
        "stages.fim.sentinels.kind: only a published tokenizer has named special tokens; write `appended`",
    ),
    "traced": (
        ("rows: rows@rows, provenance: rows@provenance", "rows: fim@rows, provenance: fim@provenance"),
        "claims.1.check.rows: fim@rows are in fill-in-the-middle form; trace the rows that they are made of",
    ),
}


@pytest.mark.parametrize("case", FIM_CASES)
def test_a_broken_rule_of_forms_is_found(case: str, tmp_path: Path) -> None:
    edit, message = FIM_CASES[case]
    first = FIM.replace("fim:", "first:", 1)
    found = broken(tmp_path, (TRAIN, FIM + OTHER + first + TRAIN), READS_FIM, FOUR_MORE, edit)
    assert any(message in text for text in found), found


def test_a_model_has_ids_for_the_sentinels(tmp_path: Path) -> None:
    found = broken(tmp_path, WITH_FIM, READS_FIM)
    assert found == [
        "stages.train.model.vocabulary: the model has 400 ids, the tokenizer 400 and the rows 4 sentinels more; "
        "make them equal, or give the model up to 128 more"
    ]
    assert broken(tmp_path / "more", WITH_FIM, READS_FIM, FOUR_MORE, FOUR_MORE) == []


EVEN = """  even:
    kind: chunks
    rows: rows@rows
    provenance: rows@provenance
    documents: split@train
    rows_each: 4
    seed: 1
"""
AGAIN = EVEN.replace("even:", "again:").replace("rows@", "even@")
TRAIN = "  train:\n    kind: train\n"

CHUNKS = {
    "documents": (
        EVEN.replace("split@train", "clean@documents"),
        "stages.even.documents: rows@rows were packed with split@train; write that",
    ),
    "twice": (
        EVEN + AGAIN,
        "stages.again.rows: even@rows are in chunks of one length already; name the rows that they are made of",
    ),
}


@pytest.mark.parametrize("case", CHUNKS)
def test_a_broken_rule_of_chunks_is_found(case: str, tmp_path: Path) -> None:
    stages, message = CHUNKS[case]
    assert broken(tmp_path, (TRAIN, stages + TRAIN)) == [message]


def test_a_run_trains_on_chunks(tmp_path: Path) -> None:
    assert (
        broken(tmp_path, (TRAIN, EVEN + TRAIN), ("rows: rows@rows\n    objective", "rows: even@rows\n    objective"))
        == []
    )
