"""The engine's AdamW as a torch optimizer that DeepSpeed drives, on whole tensors or on ZeRO's flat partitions.

Tensors with two axes or more are decayed, the embedding included; norms and other vectors are not. The two kinds are
two parameter groups, since a flat partition no longer knows what it was made of.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from engine.kernels.adamw import adamw
from engine.kernels.adamw.reference import Update
from engine.kernels.spec import AdamWBackend
from engine.train.spec import AdamW

MOMENTS = ("exp_avg", "exp_avg_sq")


class AdamWOptimizer(torch.optim.Optimizer):
    """Rate, step number and clipping factor come from the loop through `prepare`; the state is the two moments."""

    def __init__(self, model: nn.Module, spec: AdamW, backend: AdamWBackend) -> None:
        matrices = [p for p in model.parameters() if p.ndim >= 2]
        vectors = [p for p in model.parameters() if p.ndim < 2]
        groups = [{"params": matrices, "decay": spec.weight_decay}, {"params": vectors, "decay": 0.0}]
        super().__init__(groups, {})
        self.spec, self.backend = spec, backend
        self.prepare(0, 0.0, 1.0)

    def prepare(self, step: int, lr: float, gradient_scale: float) -> None:
        """The numbers of the next update: its step (from 1), its rate, and what gradients are multiplied by."""
        self.next = (step, lr, gradient_scale)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            update = self._update(group["decay"])
            for p in group["params"]:
                if p.grad is not None:
                    exp_avg, exp_avg_sq = self.moments(p)
                    adamw(p, p.grad, exp_avg, exp_avg_sq, update, backend=self.backend)

    def moments(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """The two moments of a parameter or partition; zeros before its first update."""
        state = self.state[p]
        if not state:
            state.update({name: torch.zeros_like(p, memory_format=torch.contiguous_format) for name in MOMENTS})
        return state["exp_avg"], state["exp_avg_sq"]

    def _update(self, decay: float) -> Update:
        step, lr, gradient_scale = self.next
        beta1, beta2 = self.spec.betas
        return Update(step, lr, beta1, beta2, self.spec.eps, decay, gradient_scale)
