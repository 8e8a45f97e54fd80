"""Stages of the data room run into a folder, without a store: what they wrote, as the next stage reads it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from engine.artifacts.draft import Draft
from engine.artifacts.manifest import Manifest, content_digest
from engine.artifacts.placement import Placement
from engine.artifacts.read import Input, Inputs
from engine.data.documents import Document, DocumentTable, document_id
from engine.data.mix.spec import Deal
from engine.data.run import run_pack, run_tokenizer
from engine.data.spec import PackPlan, SentencePieceBpe, Tokenizer

TEXT = (
    "the of and a to in is was that for as with by on are from be this which it at an or his were not also have "
    "number graph node edge weight return value if else def class self path length none true false list array "
    "Stra\u00dfe \u4e2d\u6587 \u6a21\u578b \u7f51\u7edc \u00e9t\u00e9 na\u00efve \U0001f600 \U0001f680 \u20ac"
)
WORDS = TEXT.split()


@dataclass(frozen=True)
class Built:
    """A stage that has run."""

    metrics: dict[str, JsonValue]
    outputs: dict[str, Input]

    def digests(self) -> dict[str, str]:
        return {name: output.digest for name, output in self.outputs.items()}


def build(folder: Path, run: str, work: Callable[[Draft], dict[str, JsonValue]]) -> Built:
    """Runs `work` on a draft and opens its outputs."""
    (folder / run).mkdir(parents=True)
    draft = Draft(folder / run)
    metrics = work(draft)
    outputs, zero = draft.outputs(), "0" * 64
    manifest = Manifest(
        format=1,
        run=f"test/{run}",
        recipe=zero,
        code=zero,
        content=content_digest(outputs, metrics),
        stage={},
        inputs={},
        outputs=outputs,
        metrics=metrics,
    )
    inputs = {
        name: Input(f"{run}@{name}", f"test/{run}", name, folder / run / name, output.digest, manifest)
        for name, output in outputs.items()
    }
    return Built(metrics, inputs)


def documents(folder: Path, items: Iterable[Document], run: str = "corpus") -> Input:
    """Documents as an output."""
    return build(folder, run, lambda out: _written(out, items)).outputs["documents"]


def _written(out: Draft, items: Iterable[Document]) -> dict[str, JsonValue]:
    with DocumentTable(out, "documents") as table:
        for item in items:
            table.add(item)
    return table.metrics()


def document(domain: str, number: int, text: str) -> Document:
    """A document of a made-up source."""
    locator = f"{domain}.txt#line={number}"
    name = document_id("0" * 64, locator)
    return Document(name, f"{domain}-source", domain, name, locator, "CC0-1.0", text)


def prose(domain: str, count: int, words: int = 120) -> list[Document]:
    """Made-up documents with newlines, indents, CJK and emoji; equal on every machine."""
    return [document(domain, number, _text(f"{domain}{number}", words + number % 7)) for number in range(count)]


def _text(seed: str, words: int) -> str:
    state, found = sum(ord(char) * 31**place for place, char in enumerate(seed)) % 2**32, []
    for place in range(words):
        state = (1664525 * state + 1013904223) % 2**32
        found.append(WORDS[(state >> 16) % len(WORDS)] + ("\n    " if place % 11 == 10 else " "))
    return "".join(found)


def placement(folder: Path, workers: int = 1) -> Placement:
    return Placement(folder, folder / "artifacts", folder / "sources", None, (), workers)


def bpe(vocabulary: int = 400, train_chars: int = 100_000) -> SentencePieceBpe:
    return SentencePieceBpe.model_validate(
        {
            "kind": "sentencepiece_bpe",
            "documents": "corpus@documents",
            "vocabulary": vocabulary,
            "train_chars": train_chars,
        }
    )


def trained(folder: Path, corpus: Input, method: SentencePieceBpe, workers: int = 1) -> Built:
    """A tokenizer trained on documents."""
    stage = Tokenizer(kind="tokenizer", method=method)
    inputs = Inputs({"corpus@documents": (corpus,)})
    return build(folder, "tokenizer", lambda out: run_tokenizer(stage, inputs, out, placement(folder, workers)))


def plan(row_tokens: int = 16, chunks: int = 4, vocabulary: int = 400, **repeats: float) -> PackPlan:
    return PackPlan.model_validate(
        {
            "kind": "pack",
            "documents": "corpus@documents",
            "tokenizer": "tokenizer@model",
            "row_tokens": row_tokens,
            "mix": Deal(kind="deal", chunks=chunks, repeats=repeats),
            "seed": 7,
            "vocabulary": vocabulary,
            "tokenizer_kind": "sentencepiece_bpe",
        }
    )


def packed(folder: Path, corpus: Input, model: Input, stage: PackPlan, workers: int = 1, run: str = "pack") -> Built:
    """Documents packed."""
    return packed_at(placement(folder, workers), corpus, model, stage, run)


def packed_at(place: Placement, corpus: Input, model: Input, stage: PackPlan, run: str = "pack") -> Built:
    """Documents packed, in the root of a placement."""
    inputs = Inputs({"corpus@documents": (corpus,), "tokenizer@model": (model,)})
    return build(place.root, run, lambda out: run_pack(stage, inputs, out, place))
