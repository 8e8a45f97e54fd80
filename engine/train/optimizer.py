"""The engine's updates as torch optimizers that DeepSpeed drives, on whole tensors or on ZeRO's flat partitions.

Tensors with two axes or more are decayed, the embedding included; norms and other vectors are not. Parameters that
differ in this, or in their share of the learning rate (models/rates.py), lie in different groups, since a flat
partition no longer knows what it was made of.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn


class StepOptimizer(torch.optim.Optimizer, ABC):
    """Rate, step number and clipping factor come from the loop through `prepare`; the state is the named moments."""

    def __init__(self, model: nn.Module, rate_scales: Mapping[str, float], moments: tuple[str, ...]) -> None:
        super().__init__(groups(model, rate_scales), {})
        self.moment_names = moments
        self.prepare(0, 0.0, 1.0)

    def prepare(self, step: int, lr: float, gradient_scale: float) -> None:
        """The numbers of the next update: its step (from 1), its rate, and what gradients are multiplied by."""
        self.next = (step, lr, gradient_scale)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        assert closure is None
        _, lr, _ = self.next
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.update(p, p.grad, self.moments(p), lr * group["rate"], group["decays"])

    @abstractmethod
    def update(self, p: Tensor, gradient: Tensor, moments: tuple[Tensor, ...], lr: float, decays: bool) -> None:
        """Moves a parameter or partition, and its moments, by one step in place; some are not decayed."""

    def moments(self, p: Tensor) -> tuple[Tensor, ...]:
        """The moments of a parameter or partition; zeros before its first update."""
        state = self.state[p]
        if not state:
            zeros = {name: torch.zeros_like(p, memory_format=torch.contiguous_format) for name in self.moment_names}
            state.update(zeros)
        return tuple(state[name] for name in self.moment_names)


def groups(model: nn.Module, rate_scales: Mapping[str, float]) -> list[dict[str, Any]]:
    """Parameter groups, decayed or not and of one share of the rate each: matrices first, then vectors."""
    found: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, p in model.named_parameters():
        found.setdefault((p.ndim < 2, rate_scales[name]), []).append(p)
    return [
        {"params": found[key], "decays": not key[0], "rate": key[1]}
        for key in sorted(found, key=lambda key: key[0])  # stable: then in the order of the model
    ]
