"""The engine's updates as torch optimizers that DeepSpeed drives, on whole tensors or on ZeRO's flat partitions.

Tensors with two axes or more are decayed, the embedding included; norms and other vectors are not. The two kinds are
two parameter groups, since a flat partition no longer knows what it was made of.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class StepOptimizer(torch.optim.Optimizer, ABC):
    """Rate, step number and clipping factor come from the loop through `prepare`; the state is the named moments."""

    def __init__(self, model: nn.Module, weight_decay: float, moments: tuple[str, ...]) -> None:
        matrices = [p for p in model.parameters() if p.ndim >= 2]
        vectors = [p for p in model.parameters() if p.ndim < 2]
        super().__init__([{"params": matrices, "decay": weight_decay}, {"params": vectors, "decay": 0.0}], {})
        self.moment_names = moments
        self.prepare(0, 0.0, 1.0)

    def prepare(self, step: int, lr: float, gradient_scale: float) -> None:
        """The numbers of the next update: its step (from 1), its rate, and what gradients are multiplied by."""
        self.next = (step, lr, gradient_scale)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.update(p, p.grad, self.moments(p), group["decay"])

    @abstractmethod
    def update(self, p: Tensor, gradient: Tensor, moments: tuple[Tensor, ...], decay: float) -> None:
        """Moves a parameter or partition, and its moments, by one step in place."""

    def moments(self, p: Tensor) -> tuple[Tensor, ...]:
        """The moments of a parameter or partition; zeros before its first update."""
        state = self.state[p]
        if not state:
            zeros = {name: torch.zeros_like(p, memory_format=torch.contiguous_format) for name in self.moment_names}
            state.update(zeros)
        return tuple(state[name] for name in self.moment_names)
