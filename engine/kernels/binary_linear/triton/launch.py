"""Shapes and grids of the Triton kernel of 1-bit matrices, and its gradients for autograd.

A program makes a block of `tokens` x `outputs` results, over the inputs from the first to the last, `inputs` at a time;
the backward pass holds the signs of `rows` outputs. There are no atomics, and no size depends on the device.
"""

# T tokens, I inputs, O outputs, W = ceil(I / 8) bytes, S entries of a scale: I, O or 1

from typing import Any

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable

from engine.kernels.binary_linear.blocked import How, gradients, keep, product_dtype
from engine.kernels.binary_linear.triton import programs
from engine.kernels.record import ran
from engine.kernels.spec import ScaleAxis, SignOfZero, TritonBinary


def interpreted() -> bool:
    """Whether TRITON_INTERPRET=1 was set before this module was imported."""
    return not isinstance(programs.forward, triton.JITFunction)


def binary_linear(
    x: Tensor, weight_OI: Tensor, bits_OW: Tensor, alpha_S: Tensor, beta_S: Tensor, scale: ScaleAxis, zero: SignOfZero,
    blocks: TritonBinary,
) -> Tensor:  # fmt: skip
    """[..., I] to [..., O], in the dtype of products."""
    how = How(scale, zero, blocks.rows, product_dtype(x))
    ran(
        "binary_linear", "triton", tokens=blocks.tokens, outputs=blocks.outputs, inputs=blocks.inputs, rows=how.rows
    )  # fmt: skip
    y: Tensor = _Packed.apply(x, weight_OI, bits_OW, alpha_S, beta_S, how, blocks)  # type: ignore[no-untyped-call]
    return y


class _Packed(torch.autograd.Function):
    """Bits forward, signs of the latent matrix backward."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight_OI: Tensor, bits_OW: Tensor, alpha_S: Tensor, beta_S: Tensor, how: How,
        blocks: TritonBinary,
    ) -> Tensor:  # fmt: skip
        keep(ctx, x, weight_OI, alpha_S, beta_S, how)
        with torch.autocast(x.device.type, enabled=False):
            y_TO = product(x.reshape(-1, x.shape[-1]).to(weight_OI.dtype), bits_OW, alpha_S, beta_S, how, blocks)
        return y_TO.view(*x.shape[:-1], y_TO.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        dx, dweight_OI, dalpha_S, dbeta_S, *_ = gradients(ctx, dy)
        return dx, dweight_OI, None, dalpha_S, dbeta_S, None, None


def product(x_TI: Tensor, bits_OW: Tensor, alpha_S: Tensor, beta_S: Tensor, how: How, blocks: TritonBinary) -> Tensor:
    """y_TO = post * (folded sign^T) + shift: the folded activations, and what each token and output adds."""
    tokens, inputs, outputs = *x_TI.shape, bits_OW.shape[0]
    by_output = how.scale == "output"
    folded_TI = (x_TI if by_output else x_TI * alpha_S).to(how.product).contiguous()
    shift_T = (x_TI if by_output else x_TI * beta_S).sum(dim=1)
    ones_O = x_TI.new_ones(outputs)
    y_TO = torch.empty(tokens, outputs, dtype=how.product, device=x_TI.device)
    grid = triton.cdiv(tokens, blocks.tokens), triton.cdiv(outputs, blocks.outputs)
    programs.forward[grid](
        folded_TI, bits_OW.contiguous(), shift_T, *((alpha_S, beta_S) if by_output else (ones_O, ones_O)), y_TO,
        tokens, inputs, outputs, bits_OW.shape[1],
        TOKENS=blocks.tokens, OUTPUTS=blocks.outputs, INPUTS=blocks.inputs,
    )  # fmt: skip
    return y_TO
