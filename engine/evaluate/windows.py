"""What windows of token ids cost a model: the log-probabilities of each next id, summed over a window.

Logits are fp32; the logarithm of a vocabulary's sum of exponentials is taken in fp64, since fp32 loses some 1e-7 of it
at 50,000 ids, always on one side. The sum over a window is the correctly rounded fp64 one.

B windows, T inputs of a window, N positions of all windows, V vocabulary.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from engine.kernels.record import ran

CHUNK = 1 << 18  # logits that are widened to fp64 together: 2 MiB, measured fastest at 49,152 ids on a Xeon core


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
    ran("graph", "eager")
    ran("products", "bf16" if torch.is_autocast_enabled(logits_BTV.device.type) else "fp32")
    targets_BT = ids_BT1[:, 1:]
    logp_N = log_probabilities(logits_BTV.flatten(0, 1), targets_BT.flatten())
    return [-math.fsum(row) for row in logp_N.view(targets_BT.shape).tolist()]


def log_probabilities(logits_NV: Tensor, ids_N: Tensor) -> Tensor:
    """log p of one id a row in fp64; as few rows at a time as fill a cache, so that no second copy of all is made."""
    rows = max(1, CHUNK // logits_NV.shape[1])
    found = [
        logits_CV.gather(-1, ids_C[:, None]).squeeze(-1).double() - torch.logsumexp(logits_CV.double(), dim=-1)
        for logits_CV, ids_C in zip(torch.split(logits_NV, rows), torch.split(ids_N, rows), strict=True)
    ]
    return torch.cat(found)
