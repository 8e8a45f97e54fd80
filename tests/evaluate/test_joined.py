"""The joined protocol: whole windows of one text, each scored on all ids but its first."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from engine.data.documents import Document
from engine.data.tokenizer import Tokenizer
from engine.evaluate.joined import joined_ids, joined_scores
from engine.evaluate.spec import Joined
from engine.spec.errors import ArtifactError

LETTERS = "\nabcdefgh"


def letters() -> Tokenizer:
    """Id 0 ends a document, the others are one letter each."""

    def split(text: str) -> np.ndarray:
        return np.array([LETTERS.find(letter) + 1 for letter in text], dtype=np.int32)

    return Tokenizer([b"", *(letter.encode() for letter in LETTERS)], 0, split)


class Copier(nn.Module):
    """Believes that the next id is the last one, e times likelier than any other."""

    def forward(self, ids_BT: torch.Tensor) -> torch.Tensor:
        return nn.functional.one_hot(ids_BT, len(LETTERS) + 1).float()


def documents(*texts: str) -> list[Document]:
    return [Document(f"{n:032x}", "s", "d", "g", "l", "MIT", text) for n, text in enumerate(texts)]


def test_documents_become_one_text_with_its_leading_ids() -> None:
    how = Joined(kind="joined", between="\n\n", lead=(0,), first_tokens=8)
    assert joined_ids(how, ["ab", "cd", "efgh"], letters()).tolist() == [0, 2, 3, 1, 1, 4, 5, 1]


def test_a_window_is_scored_on_all_ids_but_its_first() -> None:
    how = Joined(kind="joined", between="")
    found = joined_scores(how, Copier(), documents("aab", "bcddd"), letters(), 3, 2)["all"]
    assert isinstance(found, dict)
    same = math.log(math.e + len(LETTERS)) - 1
    nll = 4 * same + 3  # windows aab and bcd: the second a is a copy, b, c and d are none
    assert found["nll"] == pytest.approx(nll, rel=1e-6)
    assert (found["windows"], found["tokens"], found["left_out"], found["bytes"]) == (2, 4, 2, 4)
    assert found["token_perplexity"] == pytest.approx(math.exp(nll / 4), rel=1e-6)


def test_a_text_that_fills_no_window_is_refused() -> None:
    with pytest.raises(ArtifactError, match="2 tokens, which fill no window of 3"):
        joined_scores(Joined(kind="joined", between=""), Copier(), documents("ab"), letters(), 3, 1)


def test_a_text_that_does_not_come_back_is_refused() -> None:
    with pytest.raises(ArtifactError, match="do not come back"):
        joined_scores(Joined(kind="joined", between=""), Copier(), documents("a\u00e4b"), letters(), 2, 1)
