"""Cross-entropy of logits against target ids, averaged over all targets."""

from typing import assert_never

from torch import Tensor

from engine.kernels.cross_entropy import reference
from engine.kernels.spec import CrossEntropyBackend


def cross_entropy(logits_BTV: Tensor, targets_BT: Tensor, *, backend: CrossEntropyBackend) -> Tensor:
    """The mean of -log softmax(logits)[target], in nats; a scalar."""
    match backend:
        case "reference":
            return reference.cross_entropy(logits_BTV, targets_BT)
        case _:
            assert_never(backend)
