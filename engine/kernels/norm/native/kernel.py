"""RMSNorm and LayerNorm in C++: one pass forward, one backward; the order of every sum is written in norm.cpp.

The same bits for any number of threads, and for AVX2, AVX-512 and portable builds. NaN and infinity pass through.
"""

# N rows, D width; the ops below take contiguous fp32 [N, D]

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.kernels.native import addresses, check, instruction_set, library
from engine.kernels.record import ran

P, N, F = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float


def rms_norm(x_BTD: Tensor, weight_D: Tensor, eps: float) -> Tensor:
    """Returns y_BTD in fp32; x may be bfloat16, weight is fp32."""
    ran("norm", "native")
    wide_ND = _rows(x_BTD, {"weight": weight_D})
    y_ND: Tensor = rms_forward(wide_ND, weight_D, eps)[0]
    return y_ND.view(x_BTD.shape)


def layer_norm(x_BTD: Tensor, weight_D: Tensor, bias_D: Tensor, eps: float) -> Tensor:
    """Returns y_BTD in fp32; x may be bfloat16, weight and bias are fp32."""
    ran("norm", "native")
    wide_ND = _rows(x_BTD, {"weight": weight_D, "bias": bias_D})
    y_ND: Tensor = layer_forward(wide_ND, weight_D, bias_D, eps)[0]
    return y_ND.view(x_BTD.shape)


def _rows(x_BTD: Tensor, vectors: dict[str, Tensor]) -> Tensor:
    check("norm", {"x": x_BTD}, torch.float32, torch.bfloat16)
    check("norm", vectors, torch.float32)
    return x_BTD.reshape(-1, x_BTD.shape[-1]).float()


@torch.library.custom_op("facsimile::rms_norm", mutates_args=())
def rms_forward(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """y_ND and the scale of each row."""
    x, weight = x.contiguous(), weight.contiguous()
    y, scale = torch.empty_like(x), x.new_empty(x.shape[0])
    _library().rms_forward(*addresses(x, weight), eps, *addresses(y, scale), *x.shape, torch.get_num_threads())
    return y, scale


@torch.library.custom_op("facsimile::rms_norm_backward", mutates_args=())
def rms_backward(g: Tensor, x: Tensor, weight: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of x and weight."""
    g, x, weight = g.contiguous(), x.contiguous(), weight.contiguous()
    grad_x, grad_weight = torch.empty_like(x), torch.empty_like(weight)
    partial = x.new_empty(_library().norm_blocks(x.shape[0]) * x.shape[1])
    pointers = addresses(g, x, weight, scale, grad_x, partial, grad_weight)
    _library().rms_backward(*pointers, *x.shape, torch.get_num_threads())
    return grad_x, grad_weight


@torch.library.custom_op("facsimile::layer_norm", mutates_args=())
def layer_forward(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """y_ND, and the mean and the scale of each row."""
    x, weight, bias = x.contiguous(), weight.contiguous(), bias.contiguous()
    y, mean, scale = torch.empty_like(x), x.new_empty(x.shape[0]), x.new_empty(x.shape[0])
    _library().layer_forward(
        *addresses(x, weight, bias), eps, *addresses(y, mean, scale), *x.shape, torch.get_num_threads()
    )
    return y, mean, scale


@torch.library.custom_op("facsimile::layer_norm_backward", mutates_args=())
def layer_backward(g: Tensor, x: Tensor, weight: Tensor, mean: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of x, and of weight and bias one after the other [2, D]."""
    g, x, weight = g.contiguous(), x.contiguous(), weight.contiguous()
    grad_x, grad_both = torch.empty_like(x), x.new_empty(2, x.shape[1])
    partial = x.new_empty(_library().norm_blocks(x.shape[0]) * 2 * x.shape[1])
    pointers = addresses(g, x, weight, mean, scale, grad_x, partial, grad_both)
    _library().layer_backward(*pointers, *x.shape, torch.get_num_threads())
    return grad_x, grad_both


@cache
def _library() -> ctypes.CDLL:
    found = library(Path(__file__).parent / "norm.cpp", instruction_set())
    found.norm_blocks.restype, found.norm_blocks.argtypes = N, [N]
    found.rms_forward.argtypes = [P, P, F, P, P, N, N, ctypes.c_int]
    found.rms_backward.argtypes = [P] * 7 + [N, N, ctypes.c_int]
    found.layer_forward.argtypes = [P, P, P, F, P, P, P, N, N, ctypes.c_int]
    found.layer_backward.argtypes = [P] * 8 + [N, N, ctypes.c_int]
    return found


@rms_forward.register_fake
def _(x: Tensor, _weight: Tensor, _eps: float) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x, memory_format=torch.contiguous_format), x.new_empty(x.shape[0])


@rms_backward.register_fake
def _(_g: Tensor, x: Tensor, weight: Tensor, _scale: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x, memory_format=torch.contiguous_format), torch.empty_like(weight)


@layer_forward.register_fake
def _(x: Tensor, _weight: Tensor, _bias: Tensor, _eps: float) -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.empty_like(x, memory_format=torch.contiguous_format), x.new_empty(x.shape[0]), x.new_empty(x.shape[0])
    )  # fmt: skip


@layer_backward.register_fake
def _(_g: Tensor, x: Tensor, _weight: Tensor, _mean: Tensor, _scale: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x, memory_format=torch.contiguous_format), x.new_empty(2, x.shape[1])


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(inputs[0], inputs[1], *output[1:])


def _rms_gradients(context: Any, g: Tensor, _scale: Tensor) -> tuple[Tensor, Tensor, None]:
    grad_x, grad_weight = rms_backward(g, *context.saved_tensors)
    return grad_x, grad_weight, None


def _layer_gradients(context: Any, g: Tensor, _mean: Tensor, _scale: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
    grad_x, grad_both = layer_backward(g, *context.saved_tensors)
    return grad_x, grad_both[0], grad_both[1], None


rms_forward.register_autograd(_rms_gradients, setup_context=_keep)
layer_forward.register_autograd(_layer_gradients, setup_context=_keep)
