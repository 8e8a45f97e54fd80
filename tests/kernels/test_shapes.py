"""Shapes that do not fit are told, the same for every backend: nothing is stretched in silence."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.kernels.adamw import adamw
from engine.kernels.adamw.reference import Update
from engine.kernels.attention import attention
from engine.kernels.binary_linear import binary_linear
from engine.kernels.causal_conv import causal_conv
from engine.kernels.gate import gated
from engine.kernels.norm import layer_norm, rms_norm
from engine.kernels.rotary import rotate
from engine.kernels.ssd_scan import ssd_scan
from engine.spec.errors import ArtifactError
from tests.kernels.parity import backend, read

BY = Update(3, lr=1e-2, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.1, gradient_scale=1.0)

Call = Callable[[Any], object]


def ones(*shape: int) -> Tensor:
    return torch.ones(shape)


def one_bit(x: Tensor, alpha: Tensor, beta: Tensor, scale: Any) -> Call:
    return lambda by: binary_linear(x, ones(3, 4), alpha, beta, scale=scale, zero="minus_one", backend=by)


def scan(*, x: Tensor | None = None, **changed: Tensor) -> Call:
    whole = {"dt": ones(2, 8, 4), "a": -ones(4), "b": ones(2, 8, 2, 5), "c": ones(2, 8, 2, 5), "d": ones(4), **changed}
    return lambda by: ssd_scan(ones(2, 8, 4, 3) if x is None else x, *whole.values(), backend=by)


def heads(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Call:
    return lambda by: attention(q, k, v, scale=1.0, bias_HTT=bias, backend=by)


REFUSED: dict[str, list[tuple[Call, str]]] = {
    "adamw": [
        (lambda by: adamw(ones(4), ones(1), ones(4), ones(4), BY, backend=by), r"gradient has shape \(1,\)"),
        (lambda by: adamw(ones(4), ones(4), ones(4), ones(1), BY, backend=by), r"exp_avg_sq has shape \(1,\)"),
    ],
    "attention": [
        (heads(ones(1, 4, 3, 2), ones(1, 3, 3, 2), ones(1, 3, 3, 2)), "key heads divide query heads"),
        (heads(ones(2, 4, 3, 2), ones(1, 4, 3, 2), ones(1, 4, 3, 2)), "do not fit"),
        (heads(ones(1, 4, 3, 2), ones(1, 4, 3, 2), ones(1, 4, 1, 2)), "are wanted"),
        (heads(*[ones(1, 4, 3, 2)] * 3, ones(1, 3, 3)), r"a bias of \(1, 3, 3\); \(4, 3, 3\) is wanted"),
    ],
    "binary_linear": [
        (one_bit(ones(2, 1), ones(4), ones(4), "input"), r"4 inputs got activations of shape \[2, 1\]"),
        (one_bit(ones(2, 4), ones(1), ones(4), "input"), r"alpha of the input axis has shape \[4\], not \[1\]"),
        (one_bit(ones(2, 4), ones(3), ones(1), "output"), r"beta of the output axis has shape \[3\], not \[1\]"),
        (one_bit(ones(2, 4), ones(4), ones(1), "tensor"), r"alpha of the tensor axis has shape \[1\], not \[4\]"),
    ],
    "causal_conv": [
        (lambda by: causal_conv(ones(1, 5, 4), ones(4, 1, 3), ones(1), backend=by), "do not fit"),
        (lambda by: causal_conv(ones(1, 5, 4), ones(1, 1, 3), ones(4), backend=by), "do not fit"),
        (lambda by: causal_conv(ones(0, 5, 4), ones(4, 1, 3), ones(4), backend=by), "an axis is empty"),
    ],
    "gate": [(lambda by: gated(ones(2, 4), ones(2, 1), backend=by), "one dtype and shape")],
    "norm": [
        (lambda by: rms_norm(ones(2, 4), ones(1), 1e-5, backend=by), r"4 channels, but parameters are \[\(1,\)\]"),
        (lambda by: layer_norm(ones(2, 4), ones(4), ones(1), 1e-5, backend=by), r"parameters are \[\(4,\), \(1,\)\]"),
    ],
    "rotary": [
        (lambda by: rotate(ones(1, 1, 5, 4), ones(1, 2), ones(1, 2), backend=by), r"want tables \[T, K / 2\]"),
        (lambda by: rotate(ones(1, 1, 5, 4), ones(5, 2), ones(5, 1), backend=by), r"want tables \[T, K / 2\]"),
        (lambda by: rotate(ones(1, 1, 5, 3), ones(5, 1), ones(5, 1), backend=by), "an even K"),
    ],
    "ssd_scan": [
        (scan(dt=ones(2, 8, 1)), r"dt is of shape \(2, 8, 1\)"),
        (scan(a=-ones(1)), r"A is of shape \(1,\)"),
        (scan(c=ones(1, 8, 2, 5)), r"C is of shape \(1, 8, 2, 5\)"),
        (scan(d=ones(1)), r"D is of shape \(1,\)"),
        (scan(b=ones(2, 8, 3, 5), c=ones(2, 8, 3, 5)), "groups divide heads"),
        (scan(x=ones(2, 0, 4, 3)), "no axis is empty"),
    ],
}


@pytest.mark.parametrize("op", REFUSED)
def test_what_does_not_fit_is_an_error_in_every_backend(op: str) -> None:
    file = read(op)
    for said in (*file["backends"], *file.get("gpu", ())):
        for call, told in REFUSED[op]:
            with pytest.raises(ArtifactError, match=told), torch.no_grad():
                call(backend(op, said))
