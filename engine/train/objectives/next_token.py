"""Next token: each position of a row predicts the one after it."""

# B rows, T tokens of a row, D width

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from engine.kernels.linear_cross_entropy import linear_cross_entropy
from engine.kernels.spec import LossBackend
from engine.models.decoder import Decoder


def next_token(model: Decoder[Any], ids_BT: Tensor, backend: LossBackend) -> Mapping[str, Tensor]:
    """The mean cross-entropy over the T - 1 targets of every row."""
    x_BTD = model.features(ids_BT[:, :-1])
    targets_N = ids_BT[:, 1:].flatten()
    loss = linear_cross_entropy(x_BTD.flatten(0, 1), model.head_weight(), targets_N, model.logit_scale, backend=backend)
    return {"next_token": loss}
