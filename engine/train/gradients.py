"""What a determinism level decides of a step: how the gradients of its micro-batches become one, over all ranks."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor


class Gradients(ABC):
    """The gradients of the steps of a run. Collective: all ranks call it, in the same order."""

    recomputed = 0
    """Steps whose gradients were computed a second time so far."""

    @abstractmethod
    def backward(self, ids_SBT: tuple[Tensor, ...]) -> tuple[list[float], float]:
        """The losses of all micro-batches of a step, and the norm of their mean gradient, which DeepSpeed then holds.

        A number that is not finite tells that the run has diverged; no update may follow.
        """

    def resume(self, state: dict[str, int]) -> None:  # noqa: B027 (some have nothing to take up)
        """Goes on from the state of a checkpoint."""

    @abstractmethod
    def state(self) -> dict[str, int]:
        """What the next step needs to know of those before; it goes into checkpoints."""


def total_loss(losses: Mapping[str, Tensor]) -> Tensor:
    """The loss of one micro-batch: the sum over the tasks of the objective."""
    first, *rest = losses.values()
    return sum(rest, first)
