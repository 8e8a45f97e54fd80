"""One AdamW update in C++, in one pass over memory: the operations of the reference, each correctly rounded."""

import ctypes
import math
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from engine.kernels import native
from engine.kernels.adamw.reference import Update, power
from engine.kernels.record import ran
from engine.spec.errors import ArtifactError

NUMBERS = ctypes.c_float * 9


def adamw(p: Tensor, gradient: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor, by: Update) -> None:
    """Moves p and both moments in place; all are contiguous fp32 of one shape."""
    ran("adamw", "native")
    tensors = {"p": p, "gradient": gradient, "exp_avg": exp_avg, "exp_avg_sq": exp_avg_sq}
    native.check("adamw", tensors, torch.float32)
    for name, tensor in tensors.items():
        if not tensor.is_contiguous():
            raise ArtifactError(f"kernels.adamw: the native backend wants {name} contiguous, not {tensor.stride()}")
    pointers = native.addresses(p, gradient, exp_avg, exp_avg_sq)
    _library().adamw(*pointers, numbers(by), p.numel(), torch.get_num_threads())
    for tensor in (p, exp_avg, exp_avg_sq):
        torch.autograd.graph.increment_version(tensor)  # torch has not seen it: who keeps what follows from p must know


def numbers(by: Update) -> "ctypes.Array[ctypes.c_float]":
    """What the loop multiplies by, each computed in fp64 and rounded once, as torch rounds a scalar."""
    return NUMBERS(
        by.gradient_scale,
        by.beta1,
        1.0 - by.beta1,
        by.beta2,
        1.0 - by.beta2,
        math.sqrt(1.0 - power(by.beta2, by.step)),
        by.eps,
        1.0 - by.lr * by.weight_decay,
        by.lr / (1.0 - power(by.beta1, by.step)),
    )


@cache
def _library() -> ctypes.CDLL:
    found = native.library(Path(__file__).parent / "adamw.cpp", native.instruction_set(), "-fno-trapping-math")
    found.adamw.argtypes = [ctypes.c_void_p] * 4 + [NUMBERS, ctypes.c_int64, ctypes.c_int]
    return found
