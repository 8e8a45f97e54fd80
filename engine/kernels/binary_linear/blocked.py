"""Training without the dense weight: signs of some outputs at a time, alpha folded into the activation.

y = (alpha x) sign(W)^T + beta . x, so beta is one scalar a token, added to every output. Backward needs no product that
the dense way has not: with s = sum over outputs of dy and u = dy sign(W), dx = alpha u + beta s, dW = dy^T (alpha x),
dalpha = sum over tokens of x u and dbeta = sum over tokens of x s. Scales of the output axis multiply dy instead.
"""

# T tokens, I inputs, O outputs, R outputs of a block, S entries of a scale: I, O or 1

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, assert_never

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from engine.kernels.binary_linear.reference import signs
from engine.kernels.record import ran
from engine.kernels.spec import ScaleAxis, SignOfZero


def binary_linear(
    x: Tensor, weight_OI: Tensor, alpha_S: Tensor, beta_S: Tensor, scale: ScaleAxis, zero: SignOfZero, rows: int
) -> Tensor:
    """Returns y of shape [..., O]; `rows` outputs at a time."""
    ran("binary_linear", "blocked", rows=rows)
    y: Tensor = _Blocked.apply(x, weight_OI, alpha_S, beta_S, scale, zero, rows)  # type: ignore[no-untyped-call]
    return y


class _Blocked(torch.autograd.Function):
    """Keeps x, W and the scales for the backward pass; the signs are taken again."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight_OI: Tensor, alpha_S: Tensor, beta_S: Tensor, scale: ScaleAxis, zero: SignOfZero,
        rows: int,
    ) -> Tensor:  # fmt: skip
        how = How(scale, zero, rows, product_dtype(x))
        keep(ctx, x, weight_OI, alpha_S, beta_S, how)
        with torch.autocast(x.device.type, enabled=False):
            y_TO = forward(x.reshape(-1, x.shape[-1]), weight_OI, alpha_S, beta_S, how)
        return y_TO.view(*x.shape[:-1], y_TO.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        return gradients(ctx, dy)


@dataclass(frozen=True)
class How:
    """What a product is made of besides tensors."""

    scale: ScaleAxis
    zero: SignOfZero
    rows: int
    product: torch.dtype


def product_dtype(x: Tensor) -> torch.dtype:
    """The dtype of the autocast round a product, else that of x; sums over blocks and scales stay in the dtype of W."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def forward(x_TI: Tensor, weight_OI: Tensor, alpha_S: Tensor, beta_S: Tensor, how: How) -> Tensor:
    """y_TO in the dtype of products."""
    x_TI = x_TI.to(weight_OI.dtype)
    a_TI = (x_TI if how.scale == "output" else x_TI * alpha_S).to(how.product)
    y_TO = x_TI.new_empty(x_TI.shape[0], weight_OI.shape[0])
    for block, signs_RI in _blocks(weight_OI, how):
        y_TO[:, block] = a_TI @ signs_RI.to(how.product).T
    match how.scale:
        case "input":
            y_TO += (x_TI @ beta_S)[:, None]
        case "tensor":
            y_TO += x_TI.sum(dim=1, keepdim=True) * beta_S
        case "output":
            y_TO = y_TO.mul_(alpha_S).addcmul_(x_TI.sum(dim=1, keepdim=True), beta_S)
        case _:
            assert_never(how.scale)
    return y_TO.to(how.product)


def keep(ctx: Any, x: Tensor, weight_OI: Tensor, alpha_S: Tensor, beta_S: Tensor, how: How) -> None:
    """What `gradients` wants from the forward pass."""
    ctx.save_for_backward(x, weight_OI, alpha_S, beta_S)
    ctx.how = how


def gradients(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    """Those of x, W, alpha and beta, and None for the three settings."""
    x, weight_OI, alpha_S, beta_S = ctx.saved_tensors
    x_TI, g_TO = (each.reshape(-1, each.shape[-1]).to(weight_OI.dtype) for each in (x, dy))
    by = _by_output if ctx.how.scale == "output" else _by_input
    with torch.autocast(x.device.type, enabled=False):
        dx_TI, *others = by(g_TO, x_TI, weight_OI, alpha_S, beta_S, ctx.how)
    return dx_TI.view(x.shape).to(x.dtype), *others, None, None, None


def _by_input(
    g_TO: Tensor, x_TI: Tensor, weight_OI: Tensor, alpha_S: Tensor, beta_S: Tensor, how: How
) -> tuple[Tensor, ...]:
    u_TI, dweight_OI = torch.zeros_like(x_TI), torch.empty_like(weight_OI)
    a_TI, narrow_TO = (x_TI * alpha_S).to(how.product), g_TO.to(how.product)
    for block, signs_RI in _blocks(weight_OI, how):
        u_TI += narrow_TO[:, block] @ signs_RI.to(how.product)
        dweight_OI[block] = narrow_TO[:, block].T @ a_TI
    s_T1 = g_TO.sum(dim=1, keepdim=True)
    dalpha_I, dbeta_I = (x_TI * u_TI).sum(dim=0), x_TI.T @ s_T1[:, 0]
    dx_TI = (u_TI * alpha_S).add_(s_T1 * beta_S)
    if how.scale == "tensor":
        dalpha_I, dbeta_I = dalpha_I.sum(dim=0, keepdim=True), dbeta_I.sum(dim=0, keepdim=True)
    return dx_TI, dweight_OI, dalpha_I, dbeta_I


def _by_output(
    g_TO: Tensor, x_TI: Tensor, weight_OI: Tensor, alpha_O: Tensor, beta_O: Tensor, how: How
) -> tuple[Tensor, ...]:
    """dalpha of an output is its row of dy^T x, times its signs, summed; that row is made for dW in any case."""
    dweight_OI, dalpha_O = torch.empty_like(weight_OI), torch.empty_like(alpha_O)
    scaled_TO, narrow_TO, narrow_TI = ((g_TO * alpha_O).to(how.product), g_TO.to(how.product), x_TI.to(how.product))
    dx_TI = (g_TO @ beta_O)[:, None].repeat(1, x_TI.shape[1])
    for block, signs_RI in _blocks(weight_OI, how):
        dx_TI += scaled_TO[:, block] @ signs_RI.to(how.product)
        dweight_OI[block] = narrow_TO[:, block].T @ narrow_TI
        dalpha_O[block] = (signs_RI * dweight_OI[block]).sum(dim=1)
        dweight_OI[block] *= alpha_O[block, None]
    return dx_TI, dweight_OI, dalpha_O, g_TO.T @ x_TI.sum(dim=1)


def _blocks(weight_OI: Tensor, how: How) -> Iterator[tuple[slice, Tensor]]:
    for begin in range(0, weight_OI.shape[0], how.rows):
        block = slice(begin, begin + how.rows)
        yield block, signs(weight_OI[block], how.zero).to(weight_OI.dtype)
