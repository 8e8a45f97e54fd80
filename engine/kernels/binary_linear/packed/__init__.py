"""Products with one bit a weight, for inference: C++ for AVX-512, AVX2 and any other machine, with equal bits.

Packed signs are bits_OW, uint8 of shape [O, ceil(I / 8)], row-major without padding between rows: bit j mod 8 (the
lowest is 0) of byte j // 8 of row i is 1 where the sign of weight (i, j) is plus and 0 where it is minus. Bits beyond
column I, in the last byte of a row of odd width, are 0. There is no third state: a matrix with an exact zero whose
declared sign is zero cannot be packed.

y_i = sum_j sign_ij (alpha_j x_j) + beta . x: alpha is folded into the activation, beta is one scalar a token. The
kernels do not read packed bits as they are but a `Layout` of them, made once: lookup.cpp (fp32 activations) wants tiles
of 16 rows by 32 columns, int8.cpp wants rows padded to 64 bytes. The order of every sum is written in those two files.

A latent matrix that is multiplied by `binary_linear` is packed at its first product, and again once torch has counted
a write into it, or one of SAMPLES of its entries, spread over it, has changed. A write that torch does not count
(through `.data`, numpy or another process) and that misses all of these is not seen: to compare every entry would cost
more than the product. What is only to be run is better read as a packed folder (models/packed.py), with no latents.
"""

# T tokens, I inputs, O outputs, S entries of a scale: I, O or 1, W = ceil(I / 8) bytes

import ctypes
import math
from collections.abc import MutableMapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, assert_never

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from engine.kernels import native
from engine.kernels.binary_linear.check import check
from engine.kernels.binary_linear.reference import signs
from engine.kernels.record import ran
from engine.kernels.spec import ScaleAxis, SignOfZero
from engine.spec.errors import ArtifactError

Activations = Literal["fp32", "int8"]

P, N = ctypes.c_void_p, ctypes.c_int64
SAMPLES = 64
WIDEST = 1 << 20  # columns; the int32 sums of int8.cpp hold 2^31 / (127 * 8)


@dataclass(frozen=True)
class Layout:
    """A packed matrix as a kernel reads it."""

    data: Tensor
    outputs: int
    inputs: int
    activations: Activations


def binary_linear(
    x: Tensor, weight_OI: Tensor, alpha_S: Tensor, beta_S: Tensor, scale: ScaleAxis, zero: SignOfZero,
    activations: Activations,
) -> Tensor:  # fmt: skip
    """Returns y of shape [..., O]; W is packed in the first call, and again when it was written into, as said above."""
    if torch.is_grad_enabled() and weight_OI.requires_grad:
        raise _no_gradient()
    return packed_linear(x, _kept(weight_OI, zero, activations), alpha_S, beta_S, scale)


@dataclass(frozen=True)
class _Kept:
    """A layout, and what the latent matrix was when it was made."""

    state: object
    sample: Tensor
    layout: Layout


_KEPT: MutableMapping[Tensor, _Kept] = WeakIdKeyDictionary()


def _kept(weight_OI: Tensor, zero: SignOfZero, activations: Activations) -> Layout:
    """The layout of a latent matrix, kept for as long as the tensor lives and holds what it held."""
    if weight_OI.is_inference():  # torch does not count what is written into such a tensor
        return layout(pack(weight_OI, zero), weight_OI.shape[1], activations)
    state = weight_OI.data_ptr(), weight_OI._version, zero, activations
    kept, sample = _KEPT.get(weight_OI), _sample(weight_OI)
    if kept is None or kept.state != state or not torch.equal(kept.sample, sample):
        made = layout(pack(weight_OI, zero), weight_OI.shape[1], activations)
        kept = _KEPT[weight_OI] = _Kept(state, sample.clone(), made)
    return kept.layout


def _sample(weight_OI: Tensor) -> Tensor:
    """At most SAMPLES entries of a contiguous matrix; the odd step goes through its columns."""
    flat = weight_OI.detach().flatten()
    return flat[:: math.ceil(len(flat) / SAMPLES) | 1]


def pack(weight_OI: Tensor, zero: SignOfZero) -> Tensor:
    """bits_OW of the signs of fp32 latents; ArtifactError for NaN, infinity, or a zero whose declared sign is zero."""
    signs_OI = signs(weight_OI, zero)
    if bool(signs_OI.isnan().any()):
        raise ArtifactError("a 1-bit matrix holds NaN or infinity, which has no sign; the checkpoint is damaged")
    zeros = int((signs_OI == 0).sum())
    if zeros:
        raise ArtifactError(
            f"{zeros} weights are exactly zero and the spec says `zero: zero`: three values do not fit one bit; "
            "use the backend `reference` or `blocked`, or train with `zero: minus_one`"
        )
    outputs, inputs = signs_OI.shape
    bits = torch.zeros(outputs, -(-inputs // 8) * 8, dtype=torch.uint8, device=weight_OI.device)
    bits[:, :inputs] = signs_OI > 0
    return (bits.view(outputs, -1, 8) << _shifts(bits)).sum(dim=-1, dtype=torch.uint8)


def unpack(bits_OW: Tensor, inputs: int) -> Tensor:
    """The signs, +1 and -1 in fp32 of shape [O, inputs]."""
    check_bits(bits_OW, inputs)
    bits = (bits_OW[:, :, None] >> _shifts(bits_OW)) & 1
    return bits.flatten(1)[:, :inputs].float() * 2 - 1


def check_bits(bits_OW: Tensor, inputs: int) -> None:
    """ArtifactError unless the bits are those of a matrix with so many inputs."""
    if bits_OW.dtype != torch.uint8 or bits_OW.ndim != 2 or bits_OW.shape[1] != -(-inputs // 8):
        found = f"{bits_OW.dtype} {[*bits_OW.shape]}"
        raise ArtifactError(f"packed signs of {inputs} inputs are uint8 [outputs, {-(-inputs // 8)}], not {found}")


def layout(bits_OW: Tensor, inputs: int, activations: Activations) -> Layout:
    """Arranges packed signs for a kernel; once for each matrix, not for each call."""
    check_bits(bits_OW, inputs)
    if inputs > WIDEST:
        raise ArtifactError(f"a packed matrix has at most {WIDEST} inputs, not {inputs}")
    outputs, bits_OW = bits_OW.shape[0], bits_OW.contiguous()
    match activations:
        case "fp32":
            data = torch.empty(-(-outputs // 16), -(-inputs // 32), 16, dtype=torch.int32)
            _lookup(native.instruction_set()).lookup_tile(bits_OW.data_ptr(), outputs, inputs, data.data_ptr())
        case "int8":
            data = torch.zeros(outputs, -(-inputs // 512) * 64, dtype=torch.uint8)
            data[:, : bits_OW.shape[1]] = bits_OW
        case _:
            assert_never(activations)
    return Layout(data, outputs, inputs, activations)


def packed_linear(
    x: Tensor, matrix: Layout, alpha_S: Tensor, beta_S: Tensor, scale: ScaleAxis, instructions: str | None = None
) -> Tensor:
    """fp32 [..., I] to [..., O], for any number of threads the same bits, and for every instruction set.

    ArtifactError when gradients are wanted, an activation is not finite, or shapes or types do not fit.
    """
    ran("binary_linear", "packed", activations=matrix.activations)
    _check(x, matrix, alpha_S, beta_S, scale)
    x_TI = x.reshape(-1, matrix.inputs).contiguous()
    y_TO = x_TI.new_empty(x_TI.shape[0], matrix.outputs)
    if y_TO.numel():
        _call(x_TI, matrix, alpha_S, beta_S, scale == "output", y_TO, instructions or native.instruction_set())
    return y_TO.view(*x.shape[:-1], matrix.outputs)


def uses_vnni() -> bool:
    """Whether int8 products go through AVX-512-VNNI in this process; the results are the same without."""
    return bool(_int8(native.instruction_set()).int8_vnni())


def _call(
    x_TI: Tensor, matrix: Layout, alpha_S: Tensor, beta_S: Tensor, by_output: bool, y_TO: Tensor, instructions: str
) -> None:
    product = _lookup(instructions).lookup_linear if matrix.activations == "fp32" else _int8(instructions).int8_linear
    alpha_S, beta_S = alpha_S.contiguous(), beta_S.contiguous()
    scales = alpha_S.data_ptr(), alpha_S.numel(), beta_S.data_ptr(), beta_S.numel()
    # by output, the kernel sums x alone, and each output scales its sum and the sum of x
    factors = (None, 0, None, 0, scales[0], scales[2]) if by_output else (*scales, None, None)
    shape = x_TI.shape[0], matrix.data.data_ptr(), matrix.outputs, matrix.inputs
    bad = product(x_TI.data_ptr(), *shape, *factors, y_TO.data_ptr(), torch.get_num_threads())
    if bad:
        raise ArtifactError(
            f"token {bad - 1} of {x_TI.shape[0]} has an activation that is NaN or infinite, or one that alpha or beta "
            f"makes so; a packed matrix of {matrix.outputs} x {matrix.inputs} gives no number for it"
        )


def _check(x: Tensor, matrix: Layout, alpha_S: Tensor, beta_S: Tensor, scale: ScaleAxis) -> None:
    if torch.is_grad_enabled() and (x.requires_grad or alpha_S.requires_grad or beta_S.requires_grad):
        raise _no_gradient()
    check(x, matrix.outputs, matrix.inputs, alpha_S, beta_S, scale)
    for name, value in (("x", x), ("alpha", alpha_S), ("beta", beta_S)):
        if value.dtype != torch.float32 or value.device.type != "cpu":
            raise ArtifactError(f"packed products want {name} in fp32 on the CPU, not {value.dtype} on {value.device}")


def _no_gradient() -> ArtifactError:
    return ArtifactError(
        "kernels.binary_linear: `packed` is for inference only and has no gradient; train with `blocked` or "
        "`reference`, or compute under torch.no_grad()"
    )


def _shifts(bits: Tensor) -> Tensor:
    return torch.arange(8, dtype=torch.uint8, device=bits.device)


def _declare(product: Any) -> None:
    """x_TI, T, the layout, O, I, alpha folded into x with its entries (none: 0), beta that weighs x with its entries
    (none: 0), alpha_O and beta_O that scale the sums of each output (or null), y_TO, threads."""
    product.argtypes, product.restype = [P, N, P, N, N, P, N, P, N, P, P, P, ctypes.c_int], N


@cache
def _lookup(instructions: str) -> ctypes.CDLL:
    found = native.library(Path(__file__).parent / "lookup.cpp", instructions)
    found.lookup_tile.argtypes, found.lookup_tile.restype = [P, N, N, P], None
    _declare(found.lookup_linear)
    return found


@cache
def _int8(instructions: str) -> ctypes.CDLL:
    found = native.library(Path(__file__).parent / "int8.cpp", instructions)
    _declare(found.int8_linear)
    return found
