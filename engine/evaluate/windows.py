"""What windows of token ids cost a model: the log-probabilities of each next id, summed over a window.

Log-probabilities are fp32; their sum over a window is the correctly rounded fp64 one.

B windows, T inputs of a window, V vocabulary.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn


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
