"""The convolution and its SiLU in one pass in C++; only the inputs are kept for the backward pass.

NaN and infinity go through to the positions that see them.
"""

# B batch, T positions, C channels, K positions that an output sees

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.kernels.headers import vectors
from engine.kernels.native import addresses, check, instruction_set, library
from engine.kernels.record import ran

SOURCE = Path(__file__).parent / "conv.cpp"


def causal_conv(x_BTC: Tensor, weight_C1K: Tensor, bias_C: Tensor) -> Tensor:
    """Returns y_BTC. ArtifactError for tensors that are not fp32 on the CPU."""
    ran("causal_conv", "native")
    check("causal_conv", {"x": x_BTC, "weight": weight_C1K, "bias": bias_C}, torch.float32)
    y_BTC: Tensor = forward(x_BTC, weight_C1K, bias_C)
    return y_BTC


@torch.library.custom_op("facsimile::causal_conv", mutates_args=())
def forward(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """y_BTC."""
    x, weight_KC, bias = _laid_out(x, weight, bias)
    y = torch.empty(x.shape)
    _library().conv_forward(_shape(x, weight_KC), *addresses(x, weight_KC, bias, y), torch.get_num_threads())
    return y


@torch.library.custom_op("facsimile::causal_conv_backward", mutates_args=())
def backward(dy: Tensor, x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of the three inputs."""
    x, weight_KC, bias = _laid_out(x, weight, bias)
    dy, shape = dy.contiguous(), _shape(x, weight_KC)
    dx, dweight_KC, dbias = torch.empty(x.shape), torch.empty(weight_KC.shape), torch.empty(bias.shape)
    pointers = addresses(x, weight_KC, bias, dy, dx, dweight_KC, dbias)
    _library().conv_backward(shape, *pointers, torch.get_num_threads())
    return dx, dweight_KC.T[:, None].contiguous(), dbias


@forward.register_fake
def _(x: Tensor, _weight: Tensor, _bias: Tensor) -> Tensor:
    return x.new_empty(x.shape)


@backward.register_fake
def _(_dy: Tensor, x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return x.new_empty(x.shape), weight.new_empty(weight.shape), bias.new_empty(bias.shape)


def _keep(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ARG001 (torch's signature)
    ctx.save_for_backward(*inputs)


def _gradients(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    dx, dweight, dbias = backward(dy, *ctx.saved_tensors)
    return dx, dweight, dbias


forward.register_autograd(_gradients, setup_context=_keep)


def _laid_out(x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """As the kernel reads them: rows of x may be slices of longer ones, taps are [K, C]."""
    return x if x.stride(2) == 1 else x.contiguous(), weight[:, 0].T.contiguous(), bias.contiguous()


def _shape(x: Tensor, weight_KC: Tensor) -> "ctypes.Array[ctypes.c_int64]":
    sizes = (*x.shape, weight_KC.shape[0], *x.stride()[:2])
    return (ctypes.c_int64 * len(sizes))(*sizes)


@cache
def _library() -> ctypes.CDLL:
    return library(SOURCE, instruction_set(), headers=(vectors.HEADER,))
