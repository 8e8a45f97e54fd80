"""Perplexity on held-out documents, token by token, in windows that do not overlap.

A document is the ids [end] + text + [end]. A window is up to `window_tokens` inputs and the id that follows each; its
last target is the first input of the next window, so every id after the first is scored exactly once. Windows of
neighbouring documents share a forward pass only where they are equally long: nothing is padded, and no window sees
another. Log-probabilities are fp32; their sum over a window is the correctly rounded fp64 one, and windows are added
up in the order of the documents.

B windows, T inputs of a window, V vocabulary.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import assert_never, final

import numpy as np
import torch
from pydantic import JsonValue
from torch import Tensor, nn

from engine.artifacts.read import Input, Inputs, read_array, read_tensors
from engine.data.documents import Document, watched_documents
from engine.data.tokenizer import Irreversible, Tokenizer, load_tokenizer
from engine.evaluate.spec import PerplexityPlan, Unigram
from engine.evaluate.tally import Tallies
from engine.evaluate.unigram import unigram_nll
from engine.models.build import build, load_weights


def score(stage: PerplexityPlan, inputs: Inputs) -> dict[str, JsonValue]:
    """Scores of the checkpoint by domain, and under `unigram` those of the baseline on the same ids."""
    tokenizer = load_tokenizer(inputs.one(stage.tokenizer).folder)
    baseline = baseline_nll(stage, inputs, tokenizer.vocabulary)
    model = load_model(stage, inputs.one(stage.checkpoint))
    scores, unigram = Tallies(), Tallies()
    texts = encoded(watched_documents(inputs.one(stage.documents), "perplexity"), tokenizer)
    for item, nll in losses(model, texts, stage.window_tokens, stage.batch_rows):
        if item.ids is None:
            scores.skip(item.document.domain)
            unigram.skip(item.document.domain)
            continue
        tokens = len(item.ids) - 1
        scores.add(item.document.domain, item.document.text, tokens, nll)
        unigram.add(item.document.domain, item.document.text, tokens, math.fsum(baseline[item.ids[1:]].tolist()))
    return {**scores.scores(), "unigram": unigram.scores()}


def baseline_nll(stage: PerplexityPlan, inputs: Inputs, vocabulary: int) -> np.ndarray:
    """-log p of every id in nats by the model that the checkpoint is compared with; fp64 [vocabulary]."""
    match stage.baseline:
        case Unigram(rows=ref):
            rows = inputs.one(ref).folder
            return unigram_nll(read_array(rows, "ids"), read_array(rows, "order"), vocabulary)
        case _:
            assert_never(stage.baseline)


@final
@dataclass(frozen=True, slots=True)
class Encoded:
    """A document and its ids with the end id at both ends; None where the tokenizer cannot give the text back."""

    document: Document
    ids: np.ndarray | None


def encoded(texts: Iterable[Document], tokenizer: Tokenizer) -> Iterator[Encoded]:
    """Each document with its ids."""
    end = np.array([tokenizer.end_id], dtype=np.int32)
    for document in texts:
        try:
            ids, _ = tokenizer.encode(document.text)
        except Irreversible:
            yield Encoded(document, None)
            continue
        yield Encoded(document, np.concatenate([end, ids, end]))


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


def window_losses(model: nn.Module, every: list[np.ndarray], batch_rows: int) -> list[float]:
    """The loss of each window in nats; equally long ones go through the model together, `batch_rows` at a time."""
    costs = [0.0] * len(every)
    lengths: dict[int, list[int]] = {}
    for place, window in enumerate(every):
        lengths.setdefault(len(window), []).append(place)
    for places in lengths.values():
        for begin in range(0, len(places), batch_rows):
            chosen = places[begin : begin + batch_rows]
            found = batch_losses(model, np.stack([every[place] for place in chosen]))
            for place, cost in zip(chosen, found, strict=True):
                costs[place] = cost
    return costs


@torch.inference_mode()
def batch_losses(model: nn.Module, ids: np.ndarray) -> list[float]:
    """Sums of -log p over each row; ids [B, T + 1]."""
    ids_BT1 = torch.from_numpy(ids.astype(np.int64))
    logits_BTV: Tensor = model(ids_BT1[:, :-1])
    logp_BTV = torch.log_softmax(logits_BTV.float(), dim=-1)
    logp_BT = logp_BTV.gather(-1, ids_BT1[:, 1:, None]).squeeze(-1)
    return [-math.fsum(row) for row in logp_BT.tolist()]
