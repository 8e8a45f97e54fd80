"""The dense weight is made, then multiplied; autograd does the rest."""

# I inputs, O outputs, S entries of a scale: I, O or 1

from typing import assert_never

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.kernels.record import ran
from engine.kernels.spec import ScaleAxis, SignOfZero


def binary_linear(
    x: Tensor, weight_OI: Tensor, alpha_S: Tensor, beta_S: Tensor, scale: ScaleAxis, zero: SignOfZero
) -> Tensor:
    """Returns y of shape [..., O]."""
    ran("binary_linear", "reference")
    return F.linear(x, dense(weight_OI, alpha_S, beta_S, scale, zero))


def dense(weight_OI: Tensor, alpha_S: Tensor, beta_S: Tensor, scale: ScaleAxis, zero: SignOfZero) -> Tensor:
    """alpha * sign(W) + beta [O, I]; the gradient passes sign as if it were the identity (straight through)."""
    signs_OI = weight_OI - weight_OI.detach() + signs(weight_OI.detach(), zero)  # exact: the first two make a zero
    match scale:
        case "input" | "tensor":
            return alpha_S * signs_OI + beta_S
        case "output":
            return alpha_S[:, None] * signs_OI + beta_S[:, None]
        case _:
            assert_never(scale)


def signs(weight_OI: Tensor, zero: SignOfZero) -> Tensor:
    """+1, -1, and for an exact zero (of either sign) what the spec declares; NaN for what is not finite."""
    nothing_OI = weight_OI - weight_OI  # which is NaN where the weight is NaN or infinite
    match zero:
        case "minus_one":
            return torch.where(weight_OI > 0, 1.0, -1.0) + nothing_OI
        case "plus_one":
            return torch.where(weight_OI < 0, -1.0, 1.0) + nothing_OI
        case "zero":
            return weight_OI.sign() + nothing_OI
        case _:
            assert_never(zero)
