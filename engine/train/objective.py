"""A model with its objective, as the one module that DeepSpeed drives: a batch to one loss for each task."""

# B rows, T tokens of a row

from collections.abc import Mapping
from typing import Any, assert_never

import torch
from torch import Tensor, nn

from engine.kernels.graph import compiled
from engine.kernels.record import ran
from engine.kernels.spec import ChunkedLoss, Kernels, LossBackend
from engine.models.decoder import Decoder
from engine.train.objectives.next_token import next_token
from engine.train.spec import NextToken
from engine.train.spec import Objective as ObjectiveSpec


class Objective(nn.Module):
    """forward(ids_BT) gives the losses by task; the parameters are those of `model`, under its own names there."""

    def __init__(self, model: Decoder[Any], spec: ObjectiveSpec, kernels: Kernels) -> None:
        super().__init__()
        self.model, self.spec, self.kernels = model, spec, kernels
        self.losses = compiled(
            self._losses, kernels.graph, _whole(kernels.linear_cross_entropy)
        )  # not `forward`: DeepSpeed hangs its timers there

    def forward(self, ids_BT: Tensor) -> Mapping[str, Tensor]:
        return self.losses(ids_BT)

    def _losses(self, ids_BT: Tensor) -> Mapping[str, Tensor]:
        ran("products", self.kernels.products)
        with torch.autocast(ids_BT.device.type, torch.bfloat16, enabled=self.kernels.products == "bf16"):
            match self.spec:
                case NextToken():
                    return next_token(self.model, ids_BT, self.kernels.linear_cross_entropy)
                case _:
                    assert_never(self.spec)


def _whole(loss: LossBackend) -> bool:
    """Whether a graph can hold the loss; the chunked one runs after it, by itself."""
    match loss:
        case ChunkedLoss():
            return False
        case _:
            return True
