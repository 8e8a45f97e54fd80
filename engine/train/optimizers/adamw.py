"""AdamW (Loshchilov and Hutter 2019), by the kernel that the spec names."""

from collections.abc import Mapping
from typing import final

from torch import Tensor, nn

from engine.kernels.adamw import adamw
from engine.kernels.adamw.reference import Update
from engine.kernels.spec import AdamWBackend
from engine.train.optimizer import StepOptimizer
from engine.train.schedule import weight_decay
from engine.train.spec import AdamW


@final
class AdamWOptimizer(StepOptimizer):
    """Its moments are means of the gradient and of its square."""

    def __init__(
        self,
        model: nn.Module,
        spec: AdamW,
        rate_scales: Mapping[str, float],
        moments: tuple[str, ...],
        backend: AdamWBackend,
    ) -> None:
        super().__init__(model, rate_scales, moments)
        self.spec, self.backend = spec, backend

    def update(self, p: Tensor, gradient: Tensor, moments: tuple[Tensor, ...], lr: float, decays: bool) -> None:
        step, _, gradient_scale = self.next
        decay = weight_decay(self.spec, step) if decays else 0.0
        beta1, beta2 = self.spec.betas
        by = Update(step, lr, beta1, beta2, self.spec.eps, decay, gradient_scale)
        exp_avg, exp_avg_sq = moments
        adamw(p, gradient, exp_avg, exp_avg_sq, by, backend=self.backend)
