"""Perplexity on held-out documents, token by token, in windows that do not overlap.

A document is the ids [end] + text + [end]; `lead` is another first id. A window is up to `window_tokens` inputs and the
id that follows each; its last target is the first input of the next window, so every id after the first is scored
exactly once. Windows of neighbouring documents share a forward pass only where they are equally long: nothing is
padded, and no window sees another. Windows are added up in the order of the documents.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import assert_never, final

import numpy as np
import numpy.typing as npt
import torch
from pydantic import JsonValue
from torch import nn

from engine.artifacts.environment import effective
from engine.artifacts.read import Input, Inputs, read_array, read_tensors
from engine.data.documents import Document, watched_documents
from engine.data.tokenizer import Irreversible, Tokenizer, load_tokenizer
from engine.evaluate.joined import joined_scores
from engine.evaluate.spec import ByDocument, Joined, NoBaseline, PerplexityPlan, Unigram
from engine.evaluate.tally import Tallies
from engine.evaluate.unigram import unigram_nll
from engine.evaluate.windows import window_losses
from engine.kernels import record
from engine.models.build import build, load_weights
from engine.spec.canonical import plain

Costs = npt.NDArray[np.float64]


def score(stage: PerplexityPlan, inputs: Inputs) -> dict[str, JsonValue]:
    """Scores of the checkpoint, over windows as the stage wants them."""
    tokenizer = load_tokenizer(inputs.one(stage.tokenizer).folder)
    model = load_model(stage, inputs.one(stage.checkpoint))
    texts = watched_documents(inputs.one(stage.documents), "perplexity")
    record.forget()
    with torch.autocast("cpu", torch.bfloat16, enabled=stage.kernels.products == "bf16"):
        match stage.windows:
            case ByDocument(lead=lead):
                baseline = baseline_nll(stage, inputs, tokenizer)
                scores = by_document(stage, model, encoded(texts, tokenizer, lead), baseline)
            case Joined():
                scores = joined_scores(stage.windows, model, texts, tokenizer, stage.window_tokens, stage.batch_rows)
            case _:
                assert_never(stage.windows)
    record.check_declared(stage.kernels)
    return scores


def observed() -> dict[str, JsonValue]:
    """What computed the scores, for the observation."""
    return {"kernels": plain(record.record()), "numerics": dict(effective())}


def baseline_nll(stage: PerplexityPlan, inputs: Inputs, tokenizer: Tokenizer) -> Costs | None:
    """-log p of every id in nats by the model that the checkpoint is compared with; fp64 [vocabulary]."""
    match stage.baseline:
        case Unigram(rows=ref):
            rows = inputs.one(ref).folder
            return unigram_nll(read_array(rows, "ids"), read_array(rows, "order"), tokenizer.vocabulary)
        case NoBaseline():
            return None
        case _:
            assert_never(stage.baseline)


@final
@dataclass(frozen=True, slots=True)
class Encoded:
    """A document and its ids, from the one before the text to the end id; None where the text does not come back."""

    document: Document
    ids: np.ndarray | None


def by_document(
    stage: PerplexityPlan, model: nn.Module, texts: Iterable[Encoded], baseline: Costs | None
) -> dict[str, JsonValue]:
    """Scores by domain, and under `unigram` those of the baseline on the same ids, where there is one."""
    scores, unigram = Tallies(), Tallies()
    for item, nll in losses(model, texts, stage.window_tokens, stage.batch_rows):
        if item.ids is None:
            scores.skip(item.document.domain)
            unigram.skip(item.document.domain)
            continue
        tokens = len(item.ids) - 1
        scores.add(item.document.domain, item.document.text, tokens, nll)
        if baseline is not None:
            unigram.add(item.document.domain, item.document.text, tokens, math.fsum(baseline[item.ids[1:]].tolist()))
    return scores.scores() if baseline is None else {**scores.scores(), "unigram": unigram.scores()}


def encoded(texts: Iterable[Document], tokenizer: Tokenizer, lead: int | None = None) -> Iterator[Encoded]:
    """Each document with its ids; `lead` stands before it, where none is given the end id."""
    end = np.array([tokenizer.end_id], dtype=np.int32)
    begin = end if lead is None else np.array([lead], dtype=np.int32)
    for document in texts:
        try:
            ids, _ = tokenizer.encode(document.text)
        except Irreversible:
            yield Encoded(document, None)
            continue
        yield Encoded(document, np.concatenate([begin, ids, end]))


def load_model(stage: PerplexityPlan, checkpoint: Input) -> nn.Module:
    """The stage's model with the weights of the checkpoint."""
    model = build(stage.model, stage.kernels)
    load_weights(model, read_tensors(checkpoint.folder, "model"), f"{checkpoint.run}@{checkpoint.output}")
    return model.eval()


def losses(
    model: nn.Module, texts: Iterable[Encoded], window_tokens: int, batch_rows: int
) -> Iterator[tuple[Encoded, float]]:
    """Every document, in order, with its negative log-likelihood in nats."""
    waiting: list[tuple[Encoded, list[np.ndarray]]] = []
    count = 0
    for item in texts:
        waiting.append((item, [] if item.ids is None else windows(item.ids, window_tokens)))
        count += len(waiting[-1][1])
        if count >= batch_rows:
            yield from _scored(model, waiting, batch_rows)
            waiting, count = [], 0
    yield from _scored(model, waiting, batch_rows)


def windows(ids: np.ndarray, window_tokens: int) -> list[np.ndarray]:
    """Pieces of at most window_tokens + 1 ids that share one id with the next: inputs [:-1], targets [1:]."""
    return [ids[begin : begin + window_tokens + 1] for begin in range(0, len(ids) - 1, window_tokens)]


def _scored(
    model: nn.Module, waiting: list[tuple[Encoded, list[np.ndarray]]], batch_rows: int
) -> Iterator[tuple[Encoded, float]]:
    every = [window for _, pieces in waiting for window in pieces]
    costs = iter(window_losses(model, every, batch_rows))
    for item, pieces in waiting:
        yield item, sum((next(costs) for _ in pieces), 0.0)
