"""The chunked distillation beyond its case file: precision, memory of logits, what it refuses, what NaN does."""

import pytest
import torch
from torch import Tensor

from engine.kernels.linear_distillation import liger, linear_distillation
from engine.kernels.linear_distillation.reference import linear_distillation as reference
from engine.kernels.record import forget, record
from engine.kernels.spec import ChunkedLoss, LigerDistillation, LossBackend, ReferenceLoss
from engine.spec.errors import ArtifactError
from tests.kernels.parity import Case, cases, leaves
from tests.kernels.test_linear_cross_entropy import Largest

CHUNKED = ChunkedLoss(kind="chunked", tokens=7)
CPU: tuple[LossBackend, ...] = (ReferenceLoss(), CHUNKED)


def drawn(positions: int = 23, vocabulary: int = 101) -> list[Tensor]:
    """Features and head of a student of width 12, then those of a teacher of width 9."""
    by = torch.Generator().manual_seed(0)
    shapes = ((positions, 12), (vocabulary, 12), (positions, 9), (vocabulary, 9))
    return [torch.randn(*shape, generator=by) for shape in shapes]


def loss_of(x: Tensor, head: Tensor, teacher: Tensor, teacher_head: Tensor, backend: LossBackend) -> Tensor:
    return linear_distillation(x, head, 0.5, teacher, teacher_head, 0.8, backend=backend)


@pytest.mark.parametrize("backend", CPU)
def test_bf16_products_differ_by_their_rounding_alone(backend: LossBackend) -> None:
    *student, teacher, teacher_head = drawn()
    ours, theirs = leaves(*student), leaves(*student)
    with torch.autocast("cpu", torch.bfloat16):
        loss = loss_of(*ours, teacher, teacher_head, backend)
    wanted = loss_of(*theirs, teacher, teacher_head, ReferenceLoss())
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, wanted, rtol=1e-2, atol=0.0)
    for g, w in zip(torch.autograd.grad(loss, ours), torch.autograd.grad(wanted, theirs), strict=True):
        assert (g - w).abs().max() <= 3e-2 * w.abs().max()


def test_no_tensor_holds_all_logits_and_the_teacher_gets_no_gradient() -> None:
    given = leaves(*drawn(positions=96, vocabulary=400))
    with Largest() as seen:
        loss_of(*given, ChunkedLoss(kind="chunked", tokens=12)).backward()
    assert seen.elements == max(12 * 400, given[1].numel())
    assert [x.grad is not None for x in given] == [True, True, False, False]


def test_a_teacher_that_equals_the_student_leaves_its_entropy_and_no_gradient() -> None:
    x, head = leaves(*drawn()[:2])
    loss = linear_distillation(x, head, 0.5, x.detach(), head.detach(), 0.5, backend=CHUNKED)
    torch.testing.assert_close(loss.detach(), liger.entropy(0.5 * x, head, 7))
    assert max(g.abs().max().item() for g in torch.autograd.grad(loss, (x, head))) == 0.0


@pytest.mark.parametrize("backend", CPU)
@pytest.mark.parametrize("which", [0, 2])
def test_an_activation_that_is_nan_makes_the_loss_nan(backend: LossBackend, which: int) -> None:
    given = drawn()
    given[which][11, 3] = float("nan")
    assert loss_of(*given, backend).isnan()


@pytest.mark.parametrize("backend", CPU)
def test_an_empty_batch_and_shapes_that_do_not_fit_are_refused(backend: LossBackend) -> None:
    x, head, teacher, teacher_head = drawn()
    for wrong, says in (
        ((x[:0], head, teacher[:0], teacher_head), "the batch is empty"),
        ((x, head, teacher, teacher_head[1:]), "the vocabularies differ"),
        ((x, head, teacher[1:], teacher_head), "the same positions"),
        ((x[:, 1:], head, teacher, teacher_head), "the width of its features"),
        ((x[None], head, teacher, teacher_head), "matrices"),
    ):
        with pytest.raises(ArtifactError, match=says):
            loss_of(*wrong, backend)


def test_what_ran_is_recorded() -> None:
    forget()
    loss_of(*drawn(), CHUNKED)
    assert record() == {"linear_distillation": [{"kind": "chunked", "tokens": 7}]}
    forget()


def test_liger_refuses_a_cpu() -> None:
    with pytest.raises(ArtifactError, match="runs on a CUDA GPU alone"):
        loss_of(*drawn(), LigerDistillation(kind="liger"))


# Lanes beyond the vocabulary hold infinity less infinity, which numpy, under the interpreter, warns of.
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("case", list(cases("linear_distillation")), ids=lambda case: case.name)
def test_liger_under_the_interpreter_equals_the_reference(case: Case) -> None:
    n, d, e, v = (case.sizes[name] for name in ("positions", "width", "teacher_width", "vocabulary"))
    given = [case.draw(n, d, part=1), case.draw(v, d, part=2)]
    teacher = (case.draw(n, e, part=3), case.draw(v, e, part=4))
    ours, theirs, scales = leaves(*given), leaves(*given), (case.sizes["scale"], case.sizes["teacher_scale"])
    forget()
    loss = liger.by_liger(*ours, scales[0], *teacher, scales[1], 7)
    assert record() == {"linear_distillation": [{"kind": "liger", "tokens": 7}]}
    wanted = reference(*theirs, scales[0], *teacher, scales[1])
    torch.testing.assert_close(loss, wanted, rtol=2e-6, atol=1e-6)
    pairs = zip(torch.autograd.grad(1.7 * loss, ours), torch.autograd.grad(1.7 * wanted, theirs), strict=True)
    assert all((g - w).abs().max() <= 2e-6 * w.abs().max() + 1e-7 for g, w in pairs)
