"""Rotary positions in C++, in one pass over strided heads; in fp32 the bits of the reference.

The result lies in memory as [B, T, H, K], like the product that it comes from, so that its gradient goes back into
that product without a copy. NaN and infinity pass through.
"""

# B batch, H heads, T positions, K head width, J = K / 2 pairs

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.kernels import native
from engine.kernels.headers import bfloat16
from engine.kernels.record import ran

SIZES = ctypes.c_int64 * 4


def rotate(x_BHTK: Tensor, cos_TJ: Tensor, sin_TJ: Tensor) -> Tensor:
    """Returns y_BHTK in the dtype of x, fp32 or bfloat16."""
    ran("rotary", "native")
    native.check("rotary", {"x": x_BHTK}, torch.float32, torch.bfloat16)
    native.check("rotary", {"cos": cos_TJ, "sin": sin_TJ}, torch.float32)
    y_BHTK: Tensor = turn(x_BHTK, cos_TJ, sin_TJ, 1.0)
    return y_BHTK


@torch.library.custom_op("facsimile::rotate", mutates_args=())
def turn(x: Tensor, cos: Tensor, sin: Tensor, sign: float) -> Tensor:
    """Turns by the angle of each position, or back again where sign is -1."""
    x = x if x.stride(-1) == 1 else x.contiguous()
    y, (cos, sin) = _like(x), (cos.contiguous(), sin.contiguous())
    function = {torch.float32: _library().rotary_float, torch.bfloat16: _library().rotary_bfloat16}[x.dtype]
    strides = SIZES(*x.stride()), SIZES(*y.stride())
    function(*native.addresses(x, cos, sin, y), SIZES(*x.shape), *strides, sign, torch.get_num_threads())
    return y


def _like(x_BHTK: Tensor) -> Tensor:
    rows, heads, tokens, width = x_BHTK.shape
    return x_BHTK.new_empty(rows, tokens, heads, width).transpose(1, 2)


@cache
def _library() -> ctypes.CDLL:
    found = native.library(Path(__file__).parent / "rotary.cpp", native.instruction_set(), headers=(bfloat16.HEADER,))
    for function in (found.rotary_float, found.rotary_bfloat16):
        function.argtypes = [ctypes.c_void_p] * 4 + [ctypes.POINTER(ctypes.c_int64)] * 3 + [
            ctypes.c_float, ctypes.c_int,
        ]  # fmt: skip
    return found


@turn.register_fake
def _(x: Tensor, _cos: Tensor, _sin: Tensor, _sign: float) -> Tensor:
    return _like(x)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001 (torch's signature)
    ctx.save_for_backward(inputs[1], inputs[2])
    ctx.sign = inputs[3]


def _gradients(context: Any, g: Tensor) -> tuple[Tensor, None, None, None]:
    cos, sin = context.saved_tensors
    return turn(g, cos, sin, -context.sign), None, None, None


turn.register_autograd(_gradients, setup_context=_keep)
