"""The chunked cross-entropy beyond its case file: precision, memory of logits, what it refuses, what NaN does."""

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from engine.kernels.linear_cross_entropy import liger, linear_cross_entropy
from engine.kernels.linear_cross_entropy.reference import linear_cross_entropy as reference
from engine.kernels.record import check_declared, forget, record
from engine.kernels.spec import ChunkedLoss, Kernels, LigerLoss, LossBackend, ReferenceLoss
from engine.spec.errors import ArtifactError
from tests.kernels.parity import Case, cases, leaves

CHUNKED = ChunkedLoss(kind="chunked", tokens=7)
CPU: tuple[LossBackend, ...] = (ReferenceLoss(), CHUNKED)


def drawn(positions: int = 23, width: int = 12, vocabulary: int = 101) -> tuple[Tensor, Tensor, Tensor]:
    by = torch.Generator().manual_seed(0)
    x, head = torch.randn(positions, width, generator=by), torch.randn(vocabulary, width, generator=by)
    return x, head, torch.randint(vocabulary, (positions,), generator=by)


class Largest(TorchDispatchMode):
    """Notes the most elements that any tensor made in here has."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        made = func(*args, **(kwargs or {}))
        for x in made if isinstance(made, tuple | list) else (made,):
            self.elements = max(self.elements, x.numel() if isinstance(x, Tensor) else 0)
        return made


@pytest.mark.parametrize("backend", CPU)
def test_bf16_products_differ_by_their_rounding_alone(backend: LossBackend) -> None:
    x, head, targets = drawn()
    ours, theirs = leaves(x, head), leaves(x, head)
    with torch.autocast("cpu", torch.bfloat16):
        loss = linear_cross_entropy(*ours, targets, 0.5, backend=backend)
    wanted = reference(*theirs, targets, 0.5)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, wanted, rtol=1e-2, atol=0.0)
    for g, w in zip(torch.autograd.grad(loss, ours), torch.autograd.grad(wanted, theirs), strict=True):
        assert g.dtype == torch.float32
        assert (g - w).abs().max() <= 2e-2 * w.abs().max()


def test_gradients_of_the_head_are_added_up_in_fp32_under_bf16() -> None:
    """In bf16 the sum of 600 equal terms would stop growing at 256 of them."""
    x, head, targets = torch.ones(600, 1), torch.zeros(2, 1, requires_grad=True), torch.zeros(600, dtype=torch.int64)
    with torch.autocast("cpu", torch.bfloat16):
        loss = linear_cross_entropy(x, head, targets, 1.0, backend=ChunkedLoss(kind="chunked", tokens=1))
    (gradient,) = torch.autograd.grad(loss, head)
    torch.testing.assert_close(gradient, torch.tensor([[-0.5], [0.5]]))


def test_no_tensor_holds_all_logits() -> None:
    x, head = leaves(*drawn(positions=96, vocabulary=400)[:2])
    targets = torch.zeros(96, dtype=torch.int64)
    with Largest() as seen:
        linear_cross_entropy(x, head, targets, 0.5, backend=ChunkedLoss(kind="chunked", tokens=12)).backward()
    assert seen.elements == max(12 * 400, head.numel())
    with Largest() as seen:
        linear_cross_entropy(x, head, targets, 0.5, backend=ReferenceLoss()).backward()
    assert seen.elements == 96 * 400


@pytest.mark.parametrize("learned", ["x", "head", "neither"])
def test_only_gradients_that_are_wanted_are_made(learned: str) -> None:
    x, head, targets = drawn()
    x.requires_grad_(learned == "x")
    head.requires_grad_(learned == "head")
    loss = linear_cross_entropy(x, head, targets, 1.0, backend=CHUNKED)
    assert loss.requires_grad == (learned != "neither")
    if loss.requires_grad:
        loss.backward()
    assert [x.grad is not None, head.grad is not None] == [learned == "x", learned == "head"]


def test_without_gradients_the_loss_is_the_same() -> None:
    x, head, targets = drawn()
    wanted = linear_cross_entropy(*leaves(x, head), targets, 0.7, backend=CHUNKED).detach()
    with torch.no_grad():
        assert torch.equal(linear_cross_entropy(*leaves(x, head), targets, 0.7, backend=CHUNKED), wanted)
    with torch.inference_mode():
        assert torch.equal(linear_cross_entropy(x, head, targets, 0.7, backend=CHUNKED), wanted)


def test_a_second_backward_pass_is_refused() -> None:
    x, head, targets = drawn()
    loss = linear_cross_entropy(*leaves(x, head), targets, 1.0, backend=CHUNKED)
    (2.0 * loss).backward(retain_graph=True)
    with pytest.raises(ArtifactError, match="ran twice"):
        loss.backward()


def test_an_unlikely_target_has_its_whole_loss() -> None:
    """exp(-300) is nought in fp32, whose logarithm would be infinite."""
    x, head = torch.tensor([[1.0]]), torch.tensor([[0.0], [-300.0]])
    loss = linear_cross_entropy(x, head, torch.tensor([1]), 1.0, backend=CHUNKED)
    assert loss.item() == 300.0


@pytest.mark.parametrize("backend", CPU)
@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_an_activation_that_is_no_number_makes_the_loss_nan(backend: LossBackend, odd: float) -> None:
    x, head, targets = drawn()
    x[11, 3] = odd
    assert linear_cross_entropy(x, head, targets, 1.0, backend=backend).isnan()


@pytest.mark.parametrize("backend", (*CPU, LigerLoss(kind="liger")))
@pytest.mark.parametrize(
    ("target", "says"),
    [(-100, "target -100 at position 5 is outside the vocabulary of 101"), (101, "target 101 at position 5")],
)
def test_targets_outside_the_vocabulary_are_refused(backend: LossBackend, target: int, says: str) -> None:
    x, head, targets = drawn()
    targets[5] = target
    with pytest.raises(ArtifactError, match=says):
        linear_cross_entropy(x, head, targets, 1.0, backend=backend)


@pytest.mark.parametrize("backend", CPU)
def test_an_empty_batch_and_shapes_that_do_not_fit_are_refused(backend: LossBackend) -> None:
    x, head, targets = drawn()
    for wrong, says in (
        ((x[:0], head, targets[:0]), "the batch is empty"),
        ((x[:, :-1], head, targets), "do not fit"),
        ((x, head, targets[1:]), "do not fit"),
        ((x[None], head, targets), "are wanted"),
        ((x, head, targets.int()), "int64"),
    ):
        with pytest.raises(ArtifactError, match=says):
            linear_cross_entropy(*wrong, 1.0, backend=backend)


def test_what_ran_is_recorded() -> None:
    forget()
    linear_cross_entropy(*drawn(), 1.0, backend=CHUNKED)
    assert record() == {"linear_cross_entropy": [{"kind": "chunked", "tokens": 7}]}
    check_declared(Kernels(linear_cross_entropy=CHUNKED))
    with pytest.raises(ArtifactError, match="declares"):
        check_declared(Kernels(linear_cross_entropy=ChunkedLoss(kind="chunked", tokens=8)))
    forget()


def test_liger_refuses_a_cpu() -> None:
    with pytest.raises(ArtifactError, match="runs on a CUDA GPU alone"):
        linear_cross_entropy(*drawn(), 1.0, backend=LigerLoss(kind="liger"))


@pytest.mark.parametrize("case", list(cases("linear_cross_entropy")), ids=lambda case: case.name)
def test_liger_under_the_interpreter_equals_the_reference(case: Case) -> None:
    n, d, v = (case.sizes[name] for name in ("positions", "width", "vocabulary"))
    given = [case.draw(n, d, part=1), case.draw(v, d, part=2)]
    targets = torch.randint(v, (n,), generator=torch.Generator().manual_seed(case.seed))
    ours, theirs = leaves(*given), leaves(*given)
    loss = liger.by_liger(*ours, targets, case.sizes["scale"])
    wanted = reference(*theirs, targets, case.sizes["scale"])
    torch.testing.assert_close(loss, wanted, rtol=2e-6, atol=1e-6)
    pairs = zip(torch.autograd.grad(1.7 * loss, ours), torch.autograd.grad(1.7 * wanted, theirs), strict=True)
    assert all((g - w).abs().max() <= 2e-6 * w.abs().max() for g, w in pairs)


def test_liger_gives_a_head_its_gradient_when_the_features_want_none() -> None:
    x, head, targets = drawn()
    (ours,), (theirs,) = leaves(head), leaves(head)
    found = torch.autograd.grad(liger.by_liger(x, ours, targets, 1.0), ours)[0]
    torch.testing.assert_close(found, torch.autograd.grad(reference(x, theirs, targets, 1.0), theirs)[0])
