"""Triton's norms: NaN stays where it is, and rows beyond a program's block do not leak into its sums."""

import pytest
import torch

from engine.kernels import record
from engine.kernels.norm import layer_norm, rms_norm
from engine.kernels.norm.triton import launch
from engine.kernels.spec import Kernels
from engine.spec.errors import ArtifactError


def test_nan_stays_in_its_row() -> None:
    x, weight = torch.ones(3, 5), torch.ones(5)
    x[1, 2] = float("nan")
    for y in (
        rms_norm(x, weight, 1e-5, backend="triton"),
        layer_norm(x, weight, weight, 1e-5, backend="triton"),
    ):
        assert y[1].isnan().all()
        assert y[[0, 2]].isfinite().all()


def test_a_tensor_with_gaps_gives_the_bits_of_its_copy() -> None:
    drawn = torch.Generator().manual_seed(0)
    whole, weight = torch.randn(7, 2, 10, generator=drawn), torch.randn(5, generator=drawn)
    gaps = whole[:, 1, ::2]
    assert not gaps.is_contiguous()
    found = rms_norm(gaps, weight, 1e-5, backend="triton")
    assert torch.equal(found, rms_norm(gaps.contiguous(), weight, 1e-5, backend="triton"))


def test_gradients_of_a_row_do_not_depend_on_the_rows_round_it() -> None:
    drawn = torch.Generator().manual_seed(0)
    x, weight, dy = torch.randn(70, 33, generator=drawn), torch.ones(33), torch.randn(70, 33, generator=drawn)
    found = []
    for rows in (slice(0, 70), slice(40, 41)):
        part = x[rows].clone().requires_grad_()
        (dx,) = torch.autograd.grad(rms_norm(part, weight, 1e-5, backend="triton"), part, dy[rows])
        found.append(dx)
    assert torch.equal(found[0][40:41], found[1])


def test_the_block_sizes_that_ran_are_noted_and_another_backend_is_refused() -> None:
    record.forget()
    rms_norm(torch.ones(3, 5), torch.ones(5), 1e-5, backend="triton")
    assert record.record() == {"norm": [{"kind": "triton", "rows": launch.ROWS, "columns": launch.COLUMNS}]}
    record.check_declared(Kernels(norm="triton"))
    with pytest.raises(ArtifactError, match=r"declares \{'kind': 'native'\}, but .*'rows': 32"):
        record.check_declared(Kernels(norm="native"))
    record.forget()
