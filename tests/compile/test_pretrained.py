"""Rules of imports between stages: files by name, sizes, and who may read weights and tokenizer of an import."""

from pathlib import Path

import pytest

from engine.compile.check import problems
from engine.compile.estimate import estimate
from engine.compile.lower import lower
from engine.compile.pretrained import released_layouts
from engine.evaluate.spec import PerplexityPlan
from engine.experiment import Experiment
from engine.models.pretrained.spec import Import
from engine.spec.load import load

SHA = "a1" * 32
SPEC = f"""\
format: 1
experiment: taken
paper: quickstart
determinism: repeat
stages:
  model:
    kind: import
    model: {{kind: llama, vocabulary: 384, layers: 2, width: 64, heads: 4, kv_heads: 2, mlp: 96, context: 64,
            tied: true}}
    source:
      kind: hub
      repository: org/tiny
      revision: {"a" * 40}
      licence: MIT
      files:
        - {{path: config.json, sha256: {SHA}}}
        - {{path: tokenizer.json, sha256: {SHA}}}
        - {{path: model.safetensors, sha256: {SHA}}}
    tokenizer: {{vocabulary: 320, separator: </s>}}
  texts:
    kind: ingest
    sources:
      - kind: file
        name: texts
        domain: prose
        path: texts.txt
        sha256: {SHA}
        licence: MIT
        format: {{kind: text, unit: file}}
  rows:
    kind: pack
    documents: texts@documents
    tokenizer: model@tokenizer
    row_tokens: 32
    mix: {{kind: deal, chunks: 1}}
    seed: 1
  perplexity:
    kind: perplexity
    checkpoint: model@weights
    documents: texts@documents
    tokenizer: model@tokenizer
    window_tokens: 64
    windows: {{kind: joined, between: "", first_tokens: 640}}
    batch_rows: 2
"""
WEIGHTS = f"        - {{path: model.safetensors, sha256: {SHA}}}\n"
SECOND = WEIGHTS.replace("model.", "model-2.")
CASES = {
    "pickle": ((WEIGHTS, WEIGHTS.replace("model.safetensors", "pytorch_model.bin")), "pytorch_model.bin is a pickle"),
    "slow": (
        (WEIGHTS, WEIGHTS + WEIGHTS.replace("model.safetensors", "tokenizer.model")),
        "name tokenizer.json, which",
    ),
    "unread": ((WEIGHTS, WEIGHTS + WEIGHTS.replace("model.safetensors", "README.md")), "README.md is not read"),
    "twice": ((WEIGHTS, WEIGHTS + WEIGHTS), "source.files.3: model.safetensors stands twice"),
    "no index": ((WEIGHTS, WEIGHTS + SECOND), "there are 2 files of weights; model.safetensors.index.json"),
    "no weights": ((WEIGHTS, ""), "there are no weights"),
    "no config": ((f"        - {{path: config.json, sha256: {SHA}}}\n", ""), "source.files: config.json is missing"),
    "no tokenizer": (("tokenizer.json", "config.json"), "source.files: tokenizer.json is missing"),
    "fewer ids": (("vocabulary: 384", "vocabulary: 319"), "tokenizer.vocabulary: the model has 319 ids"),
    "padding": (
        ("vocabulary: 384", "vocabulary: 449"),
        "perplexity.tokenizer: the model has 449 ids, the tokenizer 320",
    ),
    "heads": (("heads: 4", "heads: 5"), "stages.model.model.heads"),
    "weights": (("tokenizer: model@tokenizer\n    row", "tokenizer: model@weights\n    row"), "is a checkpoint, but"),
    "checkpoint": (("checkpoint: model@weights", "checkpoint: model@tokenizer"), "checkpoint wants a checkpoint"),
    "context": (("window_tokens: 64", "window_tokens: 65"), "windows of 65 tokens do not fit a context of 64"),
    "too few": (("first_tokens: 640", "first_tokens: 63"), "windows.first_tokens: 63 tokens fill no window of 64"),
    "lead": (('between: ""', 'between: "", lead: [384]'), "windows.lead.0: the model has no id 384"),
    "first id": (
        ('{kind: joined, between: "", first_tokens: 640}', "{kind: documents, lead: 384}"),
        "windows.lead: the",
    ),
    "baseline": (("batch_rows: 2", "batch_rows: 2\n    baseline: {kind: unigram, rows: rows@rows}"), "compared with"),
}


def experiment(folder: Path, *edits: tuple[str, str]) -> Experiment:
    text = SPEC
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "specs" / "quickstart" / "taken.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return load(path, Experiment, folder / "specs").value


@pytest.mark.parametrize("case", CASES)
def test_a_broken_rule_is_found(case: str, tmp_path: Path) -> None:
    edit, message = CASES[case]
    found = [f"{problem.path}: {problem.message}" for problem in problems(experiment(tmp_path, edit))]
    assert any(message in text for text in found), found


def test_the_model_and_tokenizer_of_an_import_are_those_of_what_reads_it(tmp_path: Path) -> None:
    found = experiment(tmp_path)
    assert problems(found) == []
    stages = lower(found)
    taken, perplexity = stages["model"], stages["perplexity"]
    assert isinstance(taken, Import)
    assert isinstance(perplexity, PerplexityPlan)
    assert (perplexity.model, perplexity.tokenizer_kind) == (taken.model, "huggingface")
    assert estimate(taken).artifact_bytes == 4 * estimate(taken).parameters == 4 * estimate(perplexity).parameters


LLAMA = {"kind": "llama", "vocabulary": 8, "layers": 1, "width": 8, "heads": 1, "kv_heads": 1, "mlp": 8, "context": 8,
         "tied": True}  # fmt: skip
GPT = {"kind": "alibi_gpt", "vocabulary": 8, "layers": 1, "width": 8, "heads": 1, "mlp": 8, "context": 8}
MAMBA = {"kind": "mamba2", "vocabulary": 8, "layers": 1, "width": 64, "context": 8, "tied": True}
FBI = {"kind": "fbi", "zero": "zero"}
NAMED = {"kind": "hub_name", "repository": "org/x", "revision": "main", "licence": "MIT"}


@pytest.mark.parametrize(
    ("model", "layouts"),
    [
        (LLAMA, ("transformers llama",)),
        (LLAMA | {"linear": FBI}, ("fbi_llm",)),
        (LLAMA | {"linear": FBI | {"zero": "minus_one"}}, ()),
        (GPT | {"position": {"kind": "alibi"}}, ("btlm",)),
        (GPT | {"position": {"kind": "partial_rotary", "channels": 4}}, ("crystalcoder",)),
        (GPT | {"position": {"kind": "alibi"}, "linear": FBI}, ()),
        (MAMBA, ("transformers mamba2", "mamba_ssm")),
        (MAMBA | {"linear": FBI}, ("bi_mamba",)),
    ],
)
def test_a_spec_says_which_released_layouts_have_a_reader(model: dict[str, object], layouts: tuple[str, ...]) -> None:
    assert released_layouts(Import.model_validate({"kind": "import", "model": model, "source": NAMED})) == layouts
