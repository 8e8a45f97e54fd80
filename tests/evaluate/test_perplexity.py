"""Perplexity: every token is scored once, whatever the batches, and sums are those of a plain loop."""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from engine.data.documents import Document
from engine.data.tokenizer import Irreversible, Tokenizer
from engine.evaluate.perplexity import Encoded, encoded, losses, windows
from engine.evaluate.windows import log_probabilities, window_losses
from engine.kernels import record
from engine.kernels.spec import Kernels
from engine.models.build import build, load_weights
from engine.models.init import initial_weights
from engine.models.spec import Llama

SPEC = Llama(kind="llama", vocabulary=40, layers=2, width=16, heads=2, kv_heads=2, mlp=24, context=8, tied=True)
TEXTS = ("ab", "a longer text of many bytes", "", "six by", "another text, longer than a window", "x")


def letters() -> Tokenizer:
    """One id a byte, for 39 bytes; id 0 ends a document."""
    alphabet = " ,abcdefghijklmnopqrstuvwxyz0123456789.'"[: SPEC.vocabulary - 1]

    def split(text: str) -> np.ndarray:
        return np.array([alphabet.find(letter) + 1 for letter in text], dtype=np.int32)

    return Tokenizer([b"", *(letter.encode() for letter in alphabet)], 0, split)


def texts() -> Iterator[Encoded]:
    documents = (Document(f"{n:032x}", "s", "d", "g", "l", "MIT", text) for n, text in enumerate(TEXTS))
    return encoded(documents, letters())


@pytest.fixture(name="model", scope="module")
def _model() -> nn.Module:
    model = build(SPEC, Kernels())
    weights = {name: 10 * weight for name, weight in initial_weights(SPEC, 1).items()}
    load_weights(model, weights, "a test")
    return model.eval()


@pytest.mark.parametrize("window_tokens", [1, 3, 7, 100])
def test_windows_score_every_token_after_the_first_once(window_tokens: int) -> None:
    ids = np.arange(23)
    pieces = windows(ids, window_tokens)
    assert np.array_equal(np.concatenate([piece[1:] for piece in pieces]), ids[1:])
    assert all(left[-1] == right[0] for left, right in pairwise(pieces))
    assert max(len(piece) for piece in pieces) <= window_tokens + 1


def test_losses_are_those_of_a_plain_loop(model: nn.Module) -> None:
    for item, nll in losses(model, texts(), window_tokens=8, batch_rows=3):
        assert item.ids is not None
        expected = 0.0
        for window in windows(item.ids, 8):
            with torch.no_grad():
                logits_TV = model(torch.tensor(window[None, :-1].astype(np.int64)))[0]
            logp_TV = torch.log_softmax(logits_TV.double(), -1)
            expected -= sum(float(logp_TV[place, token]) for place, token in enumerate(window[1:]))
        assert nll == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("batch_rows", [1, 2, 5, 64])
def test_results_do_not_depend_on_the_rows_of_a_batch(model: nn.Module, batch_rows: int) -> None:
    alone = [nll for _, nll in losses(model, texts(), 8, 1)]
    together = [nll for _, nll in losses(model, texts(), 8, batch_rows)]
    assert together == pytest.approx(alone, rel=1e-6)


def test_a_document_begins_with_the_end_id_or_the_one_that_is_given() -> None:
    document = Document("0" * 32, "s", "d", "g", "l", "MIT", "ab")
    found = [next(encoded([document], letters(), lead)).ids for lead in (None, 7)]
    assert [ids.tolist() for ids in found if ids is not None] == [[0, 3, 4, 0], [7, 3, 4, 0]]


@pytest.mark.parametrize("products", ["fp32", "bf16"])
def test_what_is_noted_is_what_ran(model: nn.Module, products: str) -> None:
    record.forget()
    with torch.autocast("cpu", torch.bfloat16, enabled=products == "bf16"):
        window_losses(model, [np.arange(9)], 1)
    assert record.record()["products"] == [{"kind": products}]
    assert record.record()["graph"] == [{"kind": "eager"}]


def test_many_ids_lose_nothing_of_their_sum() -> None:
    logits_NV = 3 * torch.randn(6, 49_152, generator=torch.Generator().manual_seed(1))
    ids_N = torch.arange(6)
    exact = [
        float(row[place].double() - math.log(math.fsum(row.double().exp().tolist())))
        for place, row in enumerate(logits_NV)
    ]
    assert log_probabilities(logits_NV, ids_N).tolist() == pytest.approx(exact, rel=1e-13)


def test_documents_come_back_in_their_order(model: nn.Module) -> None:
    assert [item.document.text for item, _ in losses(model, texts(), 8, 4)] == list(TEXTS)


def test_a_text_that_the_tokenizer_cannot_give_back_is_handed_on_without_ids(model: nn.Module) -> None:
    document = Document("0" * 32, "s", "d", "g", "l", "MIT", "\u00fc")
    with pytest.raises(Irreversible):
        letters().encode(document.text)
    ((item, nll),) = losses(model, encoded([document], letters()), 8, 4)
    assert item.ids is None
    assert nll == 0.0


def test_a_uniform_model_pays_the_logarithm_of_the_vocabulary() -> None:
    class Uniform(nn.Module):
        def forward(self, ids_BT: torch.Tensor) -> torch.Tensor:
            return torch.zeros(*ids_BT.shape, 40)

    (cost,) = window_losses(Uniform(), [np.arange(9)], 4)
    assert cost == pytest.approx(8 * math.log(40), rel=1e-6)
