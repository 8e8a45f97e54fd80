"""1-bit matrices: packed bits byte by byte, equal bits for every instruction set, and what is refused."""

from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import Tensor

from engine.kernels import native, record
from engine.kernels.binary_linear import binary_linear, packed
from engine.kernels.binary_linear.packed import Activations, Layout, layout, pack, packed_linear, unpack
from engine.kernels.binary_linear.reference import signs
from engine.kernels.spec import (
    BinaryLinearBackend,
    BlockedBinary,
    Kernels,
    LigerDistillation,
    PackedBinary,
    ReferenceBinary,
    ScaleAxis,
    SignOfZero,
    TritonBinary,
)
from engine.spec.canonical import plain
from engine.spec.errors import ArtifactError
from tests.kernels.test_attention import draw

SHAPES = ((1, 1, 1), (3, 7, 5), (37, 100, 3), (70, 513, 13), (64, 2113, 33))  # outputs, inputs, tokens
ACTIVATIONS: tuple[Activations, ...] = get_args(Activations)
SETS = {"DEFAULT": ("DEFAULT",), "AVX2": ("DEFAULT", "AVX2"), "AVX512": ("DEFAULT", "AVX2", "AVX512")}


def drawn(outputs: int, inputs: int, tokens: int, activations: Activations) -> tuple[Tensor, Layout, Tensor, Tensor]:
    """x, the matrix, alpha and beta of the input axis."""
    bits_OW = pack(draw(outputs, inputs, seed=1), "minus_one")
    x, alpha, beta = draw(tokens, inputs, seed=2), draw(inputs, seed=3), draw(inputs, seed=4) / 10
    return x, layout(bits_OW, inputs, activations), alpha, beta


def test_bits_are_packed_row_after_row_from_the_lowest() -> None:
    weight_OI = torch.tensor([[1.0, -1, 1, 1, -1, -1, -1, 1, 1, -1], [-1.0, -1, -1, -1, -1, -1, -1, -1, -1, 2]])
    bits_OW = pack(weight_OI, "minus_one")
    assert bits_OW.tolist() == [[0b10001101, 0b01], [0, 0b10]]
    assert torch.equal(unpack(bits_OW, 10), weight_OI.sign())


def test_an_exact_zero_of_either_sign_has_the_declared_sign() -> None:
    weight_OI = torch.tensor([[0.0, -0.0, 1.0, -1.0]])
    assert pack(weight_OI, "minus_one").tolist() == [[0b0100]]
    assert pack(weight_OI, "plus_one").tolist() == [[0b0111]]
    with pytest.raises(ArtifactError, match="2 weights are exactly zero and the spec says `zero: zero`"):
        pack(weight_OI, "zero")
    assert pack(weight_OI[:, 2:], "zero").tolist() == [[0b01]]


def test_a_latent_too_small_for_half_precision_keeps_its_sign() -> None:
    assert unpack(pack(torch.tensor([[1e-30, -1e-30]]), "zero"), 2).tolist() == [[1.0, -1.0]]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("activations", ACTIVATIONS)
def test_every_instruction_set_gives_the_same_bits(shape: tuple[int, int, int], activations: Activations) -> None:
    x, matrix, alpha, beta = drawn(*shape, activations)
    for scale, factors in (("input", (alpha, beta)), ("output", (alpha.mean().expand(shape[0]),) * 2)):
        found = [packed_linear(x, matrix, *factors, scale, name) for name in SETS[native.instruction_set()]]
        assert all(torch.equal(found[0], other) for other in found[1:])
        rows = torch.cat([packed_linear(row, matrix, *factors, scale) for row in x.split(1)])
        assert torch.equal(rows, found[0]), "a token's result depends on its neighbours"


@pytest.mark.parametrize("activations", ACTIVATIONS)
def test_threads_and_alignment_change_no_bit(activations: Activations) -> None:
    x, matrix, alpha, beta = drawn(70, 513, 3, activations)
    expected = packed_linear(x, matrix, alpha, beta, "input")
    unaligned = torch.cat((torch.zeros(1), x.flatten()))[1:].view(x.shape)
    assert unaligned.data_ptr() % 16
    across = x.T.contiguous().T
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            for given in (x, unaligned, across):
                assert torch.equal(packed_linear(given, matrix, alpha, beta, "input"), expected)
    finally:
        torch.set_num_threads(before)


def test_int8_is_off_by_no_more_than_its_rounding() -> None:
    x, matrix, alpha, beta = drawn(64, 2113, 4, "int8")
    exact = packed_linear(x, drawn(64, 2113, 4, "fp32")[1], alpha, beta, "input")
    step_T = (x * alpha).abs().amax(dim=1) / 127
    away_TO = (packed_linear(x, matrix, alpha, beta, "input") - exact).abs()
    assert (away_TO <= step_T[:, None] * 0.5 * 2113).all()
    assert (away_TO.square().mean(dim=1).sqrt() <= step_T * (2113 / 12) ** 0.5 * 1.5).all()  # errors are uniform


@pytest.mark.parametrize("activations", ACTIVATIONS)
def test_small_and_large_activations_keep_their_size(activations: Activations) -> None:
    x, matrix, alpha, beta = drawn(3, 7, 5, activations)
    expected = packed_linear(x, matrix, alpha, beta, "input")
    for size in (2.0**-100, 2.0**100):
        assert torch.equal(packed_linear(x * size, matrix, alpha, beta, "input") / size, expected)
    assert not packed_linear(x * 0, matrix, alpha, beta, "input").any()


@pytest.mark.parametrize("activations", ACTIVATIONS)
def test_activations_that_are_not_finite_are_refused_by_their_token(activations: Activations) -> None:
    x, matrix, alpha, beta = drawn(37, 100, 3, activations)
    for bad in (float("nan"), float("inf"), -float("inf"), 3e38):
        x[1, 99] = bad
        with pytest.raises(ArtifactError, match=r"token 1 of 3 has an activation that is NaN or infinite"):
            packed_linear(x, matrix, alpha * 100, beta, "input")


@pytest.mark.parametrize("activations", ACTIVATIONS)
def test_an_empty_batch_gives_an_empty_result(activations: Activations) -> None:
    _, matrix, alpha, beta = drawn(37, 100, 1, activations)
    assert packed_linear(torch.empty(2, 0, 100), matrix, alpha, beta, "input").shape == (2, 0, 37)


def test_a_batch_keeps_its_axes() -> None:
    x, matrix, alpha, beta = drawn(37, 100, 6, "fp32")
    y = packed_linear(x, matrix, alpha, beta, "input")
    assert torch.equal(packed_linear(x.view(2, 3, 100), matrix, alpha, beta, "input"), y.view(2, 3, 37))
    assert torch.equal(packed_linear(x[0], matrix, alpha, beta, "input"), y[0])


@pytest.mark.parametrize(
    ("inputs", "scale", "kind", "told"),
    [
        (99, "input", torch.float32, r"100 inputs got activations of shape \[3, 99\]"),
        (100, "output", torch.float32, r"alpha of the output axis has shape \[37\], not \[100\]"),
        (100, "input", torch.float64, "want x in fp32 on the CPU, not torch.float64"),
    ],
)
def test_what_does_not_fit_is_refused(inputs: int, scale: ScaleAxis, kind: torch.dtype, told: str) -> None:
    _, matrix, alpha, beta = drawn(37, 100, 3, "fp32")
    with pytest.raises(ArtifactError, match=told):
        packed_linear(torch.zeros(3, inputs, dtype=kind), matrix, alpha, beta, scale)


def test_bits_of_another_width_are_refused() -> None:
    with pytest.raises(ArtifactError, match=r"packed signs of 17 inputs are uint8 \[outputs, 3\]"):
        layout(torch.zeros(4, 2, dtype=torch.uint8), 17, "fp32")
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ArtifactError, match="holds NaN or infinity"):
            pack(torch.tensor([[1.0, bad]]), "minus_one")


def test_packed_is_for_inference() -> None:
    x, weight_OI = draw(2, 8, seed=1), draw(4, 8, seed=2).requires_grad_()
    scales = torch.ones(8), torch.zeros(8)
    with pytest.raises(ArtifactError, match="`packed` is for inference only"):
        binary_linear(x, weight_OI, *scales, scale="input", zero="minus_one", backend=PackedBinary(kind="packed"))


def test_a_matrix_is_packed_again_when_it_changes() -> None:
    x, weight_OI = draw(2, 8, seed=1), draw(4, 8, seed=2)

    def y(backend: PackedBinary | ReferenceBinary) -> Tensor:
        return binary_linear(
            x, weight_OI, torch.ones(8), torch.zeros(8), scale="input", zero="minus_one", backend=backend
        )

    first = y(PackedBinary(kind="packed"))
    weight_OI.neg_()
    assert torch.equal(y(PackedBinary(kind="packed")), -first)
    weight_OI.data.neg_()  # which torch does not count
    assert torch.equal(y(PackedBinary(kind="packed")), first)
    torch.testing.assert_close(
        y(PackedBinary(kind="packed", activations="int8")), y(ReferenceBinary()), rtol=0, atol=0.1
    )


def test_a_missing_compiler_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    native.compiler.cache_clear()
    native.library.cache_clear()
    try:
        with pytest.raises(ArtifactError, match=r"no g\+\+ is on the PATH.*install it"):
            native.library(Path(packed.__file__).parent / "lookup.cpp", "DEFAULT")
    finally:
        native.compiler.cache_clear()


def test_blocked_never_holds_the_dense_weight() -> None:
    outputs, inputs, rows = 512, 256, 32
    x, weight_OI = draw(4, inputs, seed=1), draw(outputs, inputs, seed=2)
    scales = torch.ones(inputs), torch.zeros(inputs)
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            nonlocal largest
            found = func(*args, **(kwargs or {}))
            if isinstance(found, Tensor) and found.untyped_storage().data_ptr() != weight_OI.data_ptr():
                largest = max(largest, found.untyped_storage().nbytes())
            return found

    with Watch():
        binary_linear(
            x, weight_OI, *scales, scale="input", zero="minus_one", backend=BlockedBinary(kind="blocked", rows=rows)
        )
    assert largest == rows * inputs * 4


@pytest.mark.parametrize("scale", ["input", "output", "tensor"])
def test_blocked_products_follow_the_autocast(scale: ScaleAxis) -> None:
    x, weight_OI = draw(9, 48, seed=1), draw(40, 48, seed=2)
    entries = {"input": 48, "output": 40, "tensor": 1}[scale]
    alpha, beta = draw(entries, seed=3), draw(entries, seed=4)
    found = []
    for backend in (ReferenceBinary(), BlockedBinary(kind="blocked", rows=16)):
        given = [each.clone().requires_grad_() for each in (x, weight_OI, alpha, beta)]
        with torch.autocast("cpu", torch.bfloat16):
            y = binary_linear(*given, scale=scale, zero="minus_one", backend=backend)
        assert y.dtype == torch.bfloat16
        found.append([y.float(), *torch.autograd.grad(y.float().square().sum(), given)])
    for ours, theirs in zip(found[1], found[0], strict=True):
        assert (ours - theirs).abs().max() < 0.03 * theirs.abs().max()


@pytest.mark.parametrize("backend", [ReferenceBinary(), BlockedBinary(kind="blocked", rows=2)])
@pytest.mark.parametrize("scale", ["input", "output", "tensor"])
def test_latents_of_any_size_give_whole_signs_and_gradients(backend: BinaryLinearBackend, scale: ScaleAxis) -> None:
    weight_OI = torch.tensor([[3e38, -3e38, 1e8, -1e-45]] * 4).requires_grad_()
    entries = 1 if scale == "tensor" else 4
    how = {"scale": scale, "zero": "minus_one", "backend": backend}
    y = binary_linear(torch.eye(4), weight_OI, torch.ones(entries), torch.zeros(entries), **how)  # type: ignore[arg-type]
    assert torch.equal(y, torch.tensor([1.0, -1.0, 1.0, -1.0])[:, None].expand(4, 4))
    assert torch.equal(torch.autograd.grad(y.sum(), weight_OI)[0], torch.ones(4, 4))


@pytest.mark.parametrize("backend", [ReferenceBinary(), BlockedBinary(kind="blocked", rows=2)])
@pytest.mark.parametrize("zero", get_args(SignOfZero))
@pytest.mark.parametrize("bad", [float("nan"), -float("inf")])
def test_a_latent_that_is_not_finite_makes_its_output_nan(
    backend: BinaryLinearBackend, zero: SignOfZero, bad: float
) -> None:
    x, weight_OI = draw(3, 8, seed=1).requires_grad_(), draw(5, 8, seed=2)
    weight_OI[3, 4] = bad
    y = binary_linear(x, weight_OI, torch.ones(8), torch.zeros(8), scale="input", zero=zero, backend=backend)
    assert y.isnan().all(0).tolist() == [False, False, False, True, False]
    assert torch.autograd.grad(y.sum(), x)[0][:, 4].isnan().all()
    for refused in (PackedBinary(kind="packed"), TritonBinary(kind="triton")):
        with pytest.raises(ArtifactError, match="holds NaN or infinity"):
            binary_linear(
                x.detach(), weight_OI, torch.ones(8), torch.zeros(8), scale="input", zero=zero, backend=refused
            )


def test_signs_of_zero_are_those_of_the_reference() -> None:
    zeros = torch.tensor([[0.0, -0.0]])
    assert [signs(zeros, zero).tolist() for zero in ("minus_one", "plus_one", "zero")] == [
        [[-1.0, -1.0]], [[1.0, 1.0]], [[0.0, 0.0]]
    ]  # fmt: skip


def test_triton_notes_the_blocks_that_the_spec_declares() -> None:
    found, x, weight_OI = [], draw(3, 70, seed=1), draw(5, 70, seed=2)
    for declared in (TritonBinary(kind="triton"), TritonBinary(kind="triton", outputs=16, inputs=32, rows=3)):
        record.forget()
        how = {"scale": "input", "zero": "minus_one", "backend": declared}
        found.append(binary_linear(x, weight_OI, torch.ones(70), torch.zeros(70), **how))  # type: ignore[arg-type]
        assert record.record() == {"binary_linear": [declared.model_dump()]}
        record.check_declared(Kernels(binary_linear=declared))
    with pytest.raises(ArtifactError, match="'outputs': 16"):
        record.check_declared(Kernels(binary_linear=TritonBinary(kind="triton")))
    record.forget()
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-5)


def test_block_sizes_that_are_the_old_ones_move_no_digest() -> None:
    assert plain(TritonBinary(kind="triton")) == {"kind": "triton"}
    assert plain(LigerDistillation(kind="liger")) == {"kind": "liger"}
    assert "decode" not in plain(Kernels())
