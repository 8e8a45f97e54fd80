"""AdamW in separate elementwise + - * / sqrt: no fused multiply-add, and no partition of a tensor, changes a bit."""

import math
from dataclasses import dataclass

from torch import Tensor

from engine.kernels.record import ran


@dataclass(frozen=True, slots=True)
class Update:
    """The numbers of one step (Loshchilov and Hutter 2019, algorithm 2, with the learning rate in the decay)."""

    step: int  # from 1
    lr: float
    beta1: float
    beta2: float
    eps: float
    weight_decay: float
    gradient_scale: float  # the clipping factor, at most 1


def adamw(p: Tensor, gradient: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor, by: Update) -> None:
    """p -= lr * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps), after p *= 1 - lr * decay."""
    ran("adamw", "reference")
    g = gradient * by.gradient_scale
    exp_avg.mul_(by.beta1).add_(g * (1.0 - by.beta1))
    exp_avg_sq.mul_(by.beta2).add_(g.square_().mul_(1.0 - by.beta2))
    size = exp_avg_sq.sqrt().div_(math.sqrt(1.0 - power(by.beta2, by.step))).add_(by.eps)
    if by.weight_decay:
        p.mul_(1.0 - by.lr * by.weight_decay)
    p.sub_((exp_avg / size).mul_(by.lr / (1.0 - power(by.beta1, by.step))))


def power(base: float, exponent: int) -> float:
    """base ** exponent by repeated squaring: the C library's pow may differ between machines."""
    result = 1.0
    while exponent:
        if exponent & 1:
            result *= base
        base *= base
        exponent >>= 1
    return result
