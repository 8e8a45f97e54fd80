"""The chunked scan in C++ (scan.cpp says how): nothing but the inputs is kept for the backward pass.

Inputs that are not finite give outputs that are not finite, at their position or later, and at most 11 before it.
"""

# B batch, T positions, H heads, P head width, G groups of heads that share B and C, N state

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.kernels.headers import vectors
from engine.kernels.native import addresses, check, instruction_set, library
from engine.kernels.record import ran

SOURCE = Path(__file__).parent / "scan.cpp"


def ssd_scan(
    x_BTHP: Tensor, dt_BTH: Tensor, a_H: Tensor, b_BTGN: Tensor, c_BTGN: Tensor, d_H: Tensor, chunk: int
) -> Tensor:
    """Returns y_BTHP. ArtifactError for tensors that are not fp32 on the CPU."""
    ran("ssd_scan", "native", chunk=chunk)
    tensors = {"x": x_BTHP, "dt": dt_BTH, "A": a_H, "B": b_BTGN, "C": c_BTGN, "D": d_H}
    check("ssd_scan", tensors, torch.float32)
    y_BTHP: Tensor = forward(x_BTHP, dt_BTH, a_H, b_BTGN, c_BTGN, d_H, chunk)
    return y_BTHP


@torch.library.custom_op("facsimile::ssd_scan", mutates_args=())
def forward(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, chunk: int) -> Tensor:
    """y_BTHP."""
    x, dt, a, b, c, d = _laid_out(x, dt, a, b, c, d)
    y = torch.empty(x.shape)
    _library().scan_forward(_shape(x, b, chunk), *addresses(x, dt, a, b, c, d, y), torch.get_num_threads())
    return y


@torch.library.custom_op("facsimile::ssd_scan_backward", mutates_args=())
def backward(
    dy: Tensor, x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, chunk: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of the six inputs."""
    x, dt, a, b, c, d = _laid_out(x, dt, a, b, c, d)
    dy, shape = dy.contiguous(), _shape(x, b, chunk)
    dx, ddt, db, dc = torch.empty(x.shape), torch.empty(dt.shape), torch.empty(b.shape), torch.empty(c.shape)
    da, dd = (torch.zeros(x.shape[0], x.shape[2], dtype=torch.float64) for _ in range(2))
    pointers = addresses(x, dt, a, b, c, d, dy, dx, ddt, db, dc, da, dd)
    _library().scan_backward(shape, *pointers, torch.get_num_threads())
    return dx, ddt, _over_rows(da), db, dc, _over_rows(dd)


@forward.register_fake
def _(x: Tensor, _dt: Tensor, _a: Tensor, _b: Tensor, _c: Tensor, _d: Tensor, _chunk: int) -> Tensor:
    return x.new_empty(x.shape)


@backward.register_fake
def _(
    _dy: Tensor, x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, _chunk: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    dx, ddt, da, db, dc, dd = (t.new_empty(t.shape) for t in (x, dt, a, b, c, d))
    return dx, ddt, da, db, dc, dd


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001 (torch's signature)
    ctx.save_for_backward(*inputs[:6])
    ctx.chunk = inputs[6]


def _gradients(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    return *backward(dy, *ctx.saved_tensors, ctx.chunk), None


forward.register_autograd(_gradients, setup_context=_keep)


def _laid_out(
    x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """As the kernel reads them: rows of x, B and C may be slices of longer ones, the others are contiguous."""
    x, b, c = _rows(x), _rows(b), _rows(c)
    if b.stride() != c.stride():
        b, c = b.contiguous(), c.contiguous()
    return x, dt.contiguous(), a.contiguous(), b, c, d.contiguous()


def _over_rows(sums_BH: Tensor) -> Tensor:
    """The sum over the batch in fp64, row after row, rounded once."""
    total_H = sums_BH[0]
    for row_H in sums_BH[1:]:
        total_H = total_H + row_H
    return total_H.float()


def _rows(t: Tensor) -> Tensor:
    """A tensor whose last two axes lie together; batch and position may be strided, as slices of one projection are."""
    return t if t.stride(3) == 1 and t.stride(2) == t.shape[3] else t.contiguous()


def _shape(x: Tensor, b: Tensor, chunk: int) -> "ctypes.Array[ctypes.c_int64]":
    batch, tokens, heads, width = x.shape
    sizes = (batch, tokens, heads, width, *b.shape[2:], min(chunk, tokens), *x.stride()[:2], *b.stride()[:2])
    return (ctypes.c_int64 * len(sizes))(*sizes)


@cache
def _library() -> ctypes.CDLL:
    return library(SOURCE, instruction_set(), headers=(vectors.HEADER,))
