"""What every family offers: features of all positions, a head that makes logits of them, and decoding id by id."""

# B batch, T positions, D width, V vocabulary

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.check import check_begin, check_ids

State = TypeVar("State")


class Decoder(nn.Module, ABC, Generic[State]):
    """Ids to the logits of each next id: forward(ids_BT) = features(ids_BT) @ head_VD^T * logit_scale.

    A loss kernel takes the three parts, so that it need not hold all logits. A family gives `hidden`, `empty` and
    `advance`, which are called by `features`, `begin` and `step` once their arguments have been looked at: ids outside
    the vocabulary, empty batches and positions beyond the context are an ArtifactError.
    """

    logit_scale: float = 1.0
    context: int | None = None
    """The most positions; None where there is no limit."""

    @abstractmethod
    def hidden(self, ids_BT: Tensor) -> Tensor:
        """x_BTD after the last norm; position t depends on ids up to t alone."""

    @abstractmethod
    def head_weight(self) -> Tensor:
        """The matrix head_VD; the embedding's where the two are tied."""

    @abstractmethod
    def empty(self, rows: int, positions: int) -> State:
        """A decode state for `rows` sequences of at most `positions` ids, of which none has come."""

    @abstractmethod
    def advance(self, ids_B: Tensor, state: State) -> Tensor:
        """logits_BV after one more id in every row; the state moves on in place."""

    def features(self, ids_BT: Tensor) -> Tensor:
        """x_BTD of ids [B, T] in int64 or int32."""
        check_ids(ids_BT, 2, len(self.head_weight()), self.context)
        return self.hidden(ids_BT)

    def begin(self, rows: int, positions: int) -> State:
        """An empty decode state for `rows` sequences of at most `positions` ids."""
        check_begin(rows, positions, self.context)
        return self.empty(rows, positions)

    def step(self, ids_B: Tensor, state: State) -> Tensor:
        """logits_BV after one more id in every row; ArtifactError where the state has no room for it."""
        check_ids(ids_B, 1, len(self.head_weight()), None)
        return self.advance(ids_B, state)

    def forward(self, ids_BT: Tensor) -> Tensor:
        logits_BTV = F.linear(self.features(ids_BT), self.head_weight())
        return logits_BTV if self.logit_scale == 1.0 else logits_BTV * self.logit_scale


@torch.inference_mode()
def greedy(model: Decoder[State], ids_BT: Tensor, count: int) -> Tensor:
    """The `count` most likely next ids of each row, one after another; of equal logits the lowest id. [B, count]"""
    rows, tokens = ids_BT.shape
    state = model.begin(rows, tokens + count)
    logits_BV = torch.empty(0)
    for t in range(tokens):
        logits_BV = model.step(ids_BT[:, t], state)
    found = []
    for _ in range(count):
        found.append(logits_BV.argmax(dim=-1))
        logits_BV = model.step(found[-1], state)
    return torch.stack(found, dim=1)
