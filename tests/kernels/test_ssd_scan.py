"""The scan beyond parity: chunks, threads, instruction sets, slices, decoding, bad input."""

import math

import pytest
import torch
from torch import Tensor

from engine.kernels import native as loader
from engine.kernels import record
from engine.kernels.causal_conv import causal_conv
from engine.kernels.causal_conv.native import kernel as native_conv
from engine.kernels.spec import ChunkedScan, MambaSsmScan, NativeScan, RecurrentScan, ScanBackend
from engine.kernels.ssd_scan import reference, ssd_scan
from engine.kernels.ssd_scan.native import kernel as native
from engine.spec.errors import ArtifactError

Six = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def inputs(tokens: int = 300, heads: int = 6, width: int = 16, groups: int = 2, state: int = 24) -> Six:
    """x, dt, A, B, C, D of two rows, with gradients; A as the paper draws it."""
    x, b, c = (
        draw(2, tokens, *last, seed=i) for i, last in enumerate(((heads, width), (groups, state), (groups, state)))
    )
    dt = draw(2, tokens, heads, seed=4).sigmoid() * 0.1
    a, d = -1.0 - 15.0 * draw(heads, seed=5).sigmoid(), draw(heads, seed=6)
    x, dt, a, b, c, d = (t.requires_grad_() for t in (x, dt, a, b, c, d))
    return x, dt, a, b, c, d


def results(given: Six, backend: ScanBackend) -> list[Tensor]:
    """y and the six gradients."""
    y = ssd_scan(*given, backend=backend)
    return [y.detach(), *torch.autograd.grad(y, given, draw(*y.shape, seed=7))]


@pytest.mark.parametrize("kind", ["chunked", "native"])
def test_the_size_of_a_chunk_changes_rounding_alone(kind: str) -> None:
    given, made = inputs(), {"chunked": ChunkedScan, "native": NativeScan}[kind]
    first = results(given, made(kind=kind, chunk=16))  # type: ignore[arg-type]
    for chunk in (33, 64, 256, 1000):
        for ours, other in zip(results(given, made(kind=kind, chunk=chunk)), first, strict=True):  # type: ignore[arg-type]
            assert (ours - other).abs().max() <= 1e-5 * other.abs().max()


@pytest.fixture
def reloaded(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Lets a test load the kernels for another instruction set."""
    for module in (native, native_conv):
        monkeypatch.setattr(module, "_library", module._library.__wrapped__)
    return monkeypatch


def both_kernels() -> list[Tensor]:
    given = inputs(tokens=70, heads=9, groups=1)
    x, weight, bias = (draw(*shape, seed=8).requires_grad_() for shape in ((2, 70, 40), (40, 1, 4), (40,)))
    y = causal_conv(x, weight, bias, backend="native")
    gradients = torch.autograd.grad(y, (x, weight, bias), draw(2, 70, 40, seed=9))
    return [*results(given, NativeScan(kind="native", chunk=32)), y.detach(), *gradients]


def test_threads_and_vector_widths_change_no_bit(reloaded: pytest.MonkeyPatch) -> None:
    found = []
    for threads, instructions in ((1, "AVX2"), (2, "AVX2"), (3, loader.instruction_set())):
        for module in (native, native_conv):
            reloaded.setattr(module, "instruction_set", lambda name=instructions: name)
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        found.append(both_kernels())
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_the_portable_build_rounds_products_first_and_agrees_else(reloaded: pytest.MonkeyPatch) -> None:
    ours = both_kernels()
    for module in (native, native_conv):
        reloaded.setattr(module, "instruction_set", lambda: "DEFAULT")
    for portable, fused in zip(both_kernels(), ours, strict=True):
        assert (portable - fused).abs().max() <= 1e-5 * fused.abs().max()


def test_slices_of_one_projection_are_read_where_they_lie() -> None:
    heads, width, groups, state = 4, 8, 2, 16
    whole = draw(2, 50, heads * width + 2 * groups * state, seed=1)
    x, b, c = whole.split([heads * width, groups * state, groups * state], dim=-1)
    sliced = x.view(2, 50, heads, width), b.view(2, 50, groups, state), c.view(2, 50, groups, state)
    dt, a, d = draw(2, 50, heads, seed=2).sigmoid(), -draw(heads, seed=3).exp(), draw(heads, seed=4)
    x, b, c = sliced
    y = native.ssd_scan(x, dt, a, b, c, d, 16)
    assert torch.equal(y, native.ssd_scan(x.contiguous(), dt, a, b.contiguous(), c.contiguous(), d, 16))


def test_position_by_position_gives_what_all_at_once_gives() -> None:
    x, dt, a, b, c, d = (t.detach() for t in inputs(tokens=40))
    y = ssd_scan(x, dt, a, b, c, d, backend=NativeScan(kind="native"))
    state = torch.zeros(2, 6, 16, 24)
    for t in range(40):
        y_t, state = reference.step(x[:, t], dt[:, t], a, b[:, t], c[:, t], d, state)
        torch.testing.assert_close(y_t, y[:, t], rtol=0, atol=1e-5)
    assert state.shape == (2, 6, 16, 24)


@pytest.mark.parametrize(
    ("backend", "before"),
    [
        (RecurrentScan(kind="reference"), 0),
        (ChunkedScan(kind="chunked", chunk=16), 8),
        (NativeScan(kind="native", chunk=16), 8),
        (NativeScan(kind="native", chunk=64), 11),
    ],
)
@pytest.mark.parametrize("which", range(3))
def test_what_is_not_finite_stays_so_and_reaches_no_chunk_before_its_own(
    backend: ScanBackend, before: int, which: int
) -> None:
    given = [t.detach() for t in inputs(tokens=64)]
    at = (0, 40, 3, 2)[: given[(0, 1, 3)[which]].ndim]
    given[(0, 1, 3)[which]][at if which < 2 else (0, 40, 1, 2)] = math.nan
    y = ssd_scan(*given, backend=backend)  # type: ignore[misc]
    assert y[0, 40:, 3, 2].isnan().all()
    assert y[0, : 40 - before].isfinite().all()
    assert y[1].isfinite().all()


def test_decay_to_nothing_is_zero_and_not_a_denormal() -> None:
    x, _, _, b, c, d = (t.detach() for t in inputs(tokens=64))
    y = ssd_scan(x, torch.ones(2, 64, 6), torch.full((6,), -90.0), b, c, d, backend=NativeScan(kind="native"))
    own = d[:, None] * x + x * (b * c).sum(-1).repeat_interleave(3, -1)[..., None]
    torch.testing.assert_close(y, own, rtol=0, atol=1e-5)


def test_bad_shapes_and_dtypes_are_told() -> None:
    x, dt, a, b, c, d = (t.detach() for t in inputs(tokens=8))
    backend = NativeScan(kind="native")
    with pytest.raises(ArtifactError, match=r"dt is of shape \(2, 7, 6\)"):
        ssd_scan(x, dt[:, :7], a, b, c, d, backend=backend)
    with pytest.raises(ArtifactError, match=r"x in torch.float32"):
        ssd_scan(x.double(), dt, a, b, c, d, backend=backend)
    with pytest.raises(ArtifactError, match="do not fit"):
        ssd_scan(x[:, :0], dt, a, b, c, d, backend=backend)
    with pytest.raises(ArtifactError, match="do not fit"):
        ssd_scan(x[:, :, :5], dt[:, :, :5], a[:5], b, c, d[:5], backend=backend)
    with pytest.raises(ArtifactError, match=r"weight \(3, 1, 4\).*do not fit"):
        causal_conv(draw(1, 5, 4, seed=1), draw(3, 1, 4, seed=2), draw(4, seed=3), backend="native")


def test_a_library_that_is_missing_is_named_with_its_extra() -> None:
    with pytest.raises(ArtifactError, match=r"facsimile-llm\[mamba\]"):
        ssd_scan(*inputs(tokens=4), backend=MambaSsmScan(kind="mamba_ssm"))


def test_what_ran_is_noted_with_its_chunk() -> None:
    record.forget()
    both_kernels()
    assert record.record() == {"causal_conv": [{"kind": "native"}], "ssd_scan": [{"kind": "native", "chunk": 32}]}
    record.forget()
