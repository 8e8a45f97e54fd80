"""Next token: each position of a row predicts the one after it."""

# B rows, T tokens of a row, V vocabulary

from collections.abc import Callable, Mapping

from torch import Tensor

from engine.kernels.cross_entropy import cross_entropy
from engine.kernels.spec import CrossEntropyBackend


def next_token(model: Callable[[Tensor], Tensor], ids_BT: Tensor, backend: CrossEntropyBackend) -> Mapping[str, Tensor]:
    """The mean cross-entropy over the T - 1 targets of every row."""
    logits_BTV = model(ids_BT[:, :-1])
    return {"next_token": cross_entropy(logits_BTV, ids_BT[:, 1:], backend=backend)}
