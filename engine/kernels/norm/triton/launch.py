"""Shapes, buffers and grids of the Triton kernels of norms, and their gradients for autograd.

Sums over a row are one block of the next power of two of the width; sums over rows go through ROWS rows in order, then
through those partial sums in order, COLUMNS channels a program. There are no atomics, and no
size depends on the device.
"""

# N rows (all axes but the last), D width, P programs of ROWS rows

import math
from typing import Any

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable

from engine.kernels.norm.triton import programs
from engine.kernels.record import ran

ROWS = 32
"""Rows whose part of the gradients of weight and bias one program adds up."""
COLUMNS = 128
"""Channels of the gradients of weight and bias that one program of the last sum holds."""
WARPS = 8


def interpreted() -> bool:
    """Whether TRITON_INTERPRET=1 was set before this module was imported."""
    return not isinstance(programs.forward, triton.JITFunction)


def rms_norm(x: Tensor, weight_D: Tensor, eps: float) -> Tensor:
    """[..., D] to [..., D], in the dtype that torch gives weight * x."""
    y: Tensor = Norm.apply(x, weight_D, None, eps)  # type: ignore[no-untyped-call]
    return y


def layer_norm(x: Tensor, weight_D: Tensor, bias_D: Tensor, eps: float) -> Tensor:
    """[..., D] to [..., D], in the dtype of x."""
    y: Tensor = Norm.apply(x, weight_D, bias_D, eps)  # type: ignore[no-untyped-call]
    return y


class Norm(torch.autograd.Function):
    """RMSNorm without a bias, LayerNorm with one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_D: Tensor, bias_D: Tensor | None, eps: float) -> Tensor:
        ran("norm", "triton", rows=ROWS, columns=COLUMNS)
        rows_ND = x.reshape(-1, x.shape[-1]).contiguous()
        n, d = rows_ND.shape
        kind = torch.promote_types(x.dtype, weight_D.dtype) if bias_D is None else x.dtype
        y_ND = torch.empty(n, d, dtype=kind, device=x.device)
        mean_N, scale_N = (torch.empty(n, dtype=torch.float32, device=x.device) for _ in range(2))
        bias = weight_D if bias_D is None else bias_D.contiguous()
        programs.forward[(n,)](
            rows_ND, weight_D.contiguous(), bias, y_ND, mean_N, scale_N, d, eps,
            CENTRED=bias_D is not None, BLOCK=triton.next_power_of_2(d), num_warps=WARPS,
        )  # fmt: skip
        ctx.save_for_backward(rows_ND, weight_D, bias_D, mean_N, scale_N)
        return y_ND.view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        rows_ND, weight_D, bias_D, mean_N, scale_N = ctx.saved_tensors
        n, d = rows_ND.shape
        p = math.ceil(n / ROWS)
        dx_ND = torch.empty_like(rows_ND)
        partial_2PD = torch.empty(2, p, d, dtype=torch.float32, device=dy.device)
        programs.backward[(p,)](
            dy.reshape(n, d).contiguous(), rows_ND, weight_D.contiguous(), mean_N, scale_N, dx_ND,
            partial_2PD[0], partial_2PD[1], n, d,
            CENTRED=bias_D is not None, ROWS=ROWS, BLOCK=triton.next_power_of_2(d), num_warps=WARPS,
        )  # fmt: skip
        dweight_D = add_up(partial_2PD[0], weight_D.dtype)
        dbias_D = None if bias_D is None else add_up(partial_2PD[1], bias_D.dtype)
        return dx_ND.view(dy.shape), dweight_D, dbias_D, None


def add_up(partial_PD: Tensor, kind: torch.dtype) -> Tensor:
    """The sum over the first axis, one term after another."""
    p, d = partial_PD.shape
    sum_D = torch.empty(d, dtype=kind, device=partial_PD.device)
    programs.add_up[(math.ceil(d / COLUMNS),)](partial_PD, sum_D, p, d, BLOCK=COLUMNS, num_warps=WARPS)
    return sum_D
