"""silu(gate) * up in C++: one pass forward, one backward, by an exponential of its own (gate.cpp).

The same bits for any number of threads, and for AVX2, AVX-512 and portable builds. NaN passes through.
"""

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.kernels import native
from engine.kernels.headers import bfloat16
from engine.kernels.record import ran


def gated(gate: Tensor, up: Tensor) -> Tensor:
    """Returns a tensor of their shape and dtype, fp32 or bfloat16."""
    ran("gate", "native")
    native.check("gate", {"gate": gate, "up": up}, torch.float32, torch.bfloat16)
    y: Tensor = forward(gate, up)
    return y


@torch.library.custom_op("facsimile::gated", mutates_args=())
def forward(gate: Tensor, up: Tensor) -> Tensor:
    """The product."""
    gate, up = gate.contiguous(), up.contiguous()
    y = torch.empty_like(gate)
    function = {torch.float32: _library().gate_float, torch.bfloat16: _library().gate_bfloat16}[gate.dtype]
    function(*native.addresses(gate, up, y), y.numel(), torch.get_num_threads())
    return y


@torch.library.custom_op("facsimile::gated_backward", mutates_args=())
def backward(g: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of gate and up."""
    g, gate, up = g.contiguous(), gate.contiguous(), up.contiguous()
    grad_gate, grad_up = torch.empty_like(gate), torch.empty_like(up)
    library = _library()
    function = {torch.float32: library.gate_backward_float, torch.bfloat16: library.gate_backward_bfloat16}[g.dtype]
    pointers = native.addresses(g, gate, up, grad_gate, grad_up)
    function(*pointers, g.numel(), torch.get_num_threads())
    return grad_gate, grad_up


@cache
def _library() -> ctypes.CDLL:
    # -fno-trapping-math: comparisons may run on lanes of which the result is not taken, so that loops become vectors
    chosen = native.instruction_set(), "-fno-trapping-math"
    found = native.library(Path(__file__).parent / "gate.cpp", *chosen, headers=(bfloat16.HEADER,))
    for function in (found.gate_float, found.gate_bfloat16):
        function.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_int64, ctypes.c_int]
    for function in (found.gate_backward_float, found.gate_backward_bfloat16):
        function.argtypes = [ctypes.c_void_p] * 5 + [ctypes.c_int64, ctypes.c_int]
    return found


@forward.register_fake
def _(gate: Tensor, _up: Tensor) -> Tensor:
    return torch.empty_like(gate, memory_format=torch.contiguous_format)


@backward.register_fake
def _(_g: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    contiguous = torch.contiguous_format
    return torch.empty_like(gate, memory_format=contiguous), torch.empty_like(up, memory_format=contiguous)


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:  # noqa: ARG001 (torch's signature)
    ctx.save_for_backward(*inputs)


def _gradients(context: Any, g: Tensor) -> tuple[Tensor, Tensor]:
    grad_gate, grad_up = backward(g, *context.saved_tensors)
    return grad_gate, grad_up


forward.register_autograd(_gradients, setup_context=_keep)
