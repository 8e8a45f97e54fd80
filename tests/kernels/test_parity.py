"""Every backend of every op on every row of its case file, against the definition in fp64."""

from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from engine.kernels.adamw import adamw
from engine.kernels.adamw.reference import Update
from engine.kernels.attention import attention
from engine.kernels.attention.alibi import causal_bias, slopes
from engine.kernels.binary_linear import binary_linear
from engine.kernels.causal_conv import causal_conv
from engine.kernels.gate import gated
from engine.kernels.linear_cross_entropy import linear_cross_entropy
from engine.kernels.linear_distillation import linear_distillation
from engine.kernels.norm import layer_norm, rms_norm
from engine.kernels.rotary import rotate
from engine.kernels.rotary.reference import angles
from engine.kernels.spec import Kernels
from engine.kernels.ssd_scan import ssd_scan
from engine.spec.errors import ArtifactError
from tests.kernels import definitions
from tests.kernels.parity import CASES, Case, backend, leaves, parity, read, wide

NO_OPS = {"products", "graph", "decode"}


def check(case: Case, ours: tuple[Tensor, Tensor, tuple[Tensor, ...]], theirs: tuple[Tensor, ...], y: Tensor) -> None:
    """Value and gradients: (y, dy, inputs) of the backend, then the inputs and y of the definition."""
    found, dy, given = ours
    case.check([found.detach()], [y.detach()])
    gradients = torch.autograd.grad(found, given, dy.to(found.dtype))
    case.check(gradients, torch.autograd.grad(y, theirs, dy.double()), "gradient")


@parity("norm")
def test_norm(case: Case, backend: Any) -> None:
    rows, width = case.sizes["rows"], case.sizes["width"]
    eps = case.sizes.get("eps", 1e-5)
    given = [case.draw(rows, width, part=1), case.draw(width, part=2).float()]
    if case.sizes["kind"] == "layer_norm":
        given.append(case.draw(width, part=3).float())
    ours, theirs = leaves(*given), wide(*given)
    if case.sizes["kind"] == "layer_norm":
        y, defined = layer_norm(*ours, eps, backend=backend), definitions.layer_norm(*theirs, eps)
    else:
        y, defined = rms_norm(*ours, eps, backend=backend), definitions.rms_norm(*theirs, eps)
    check(case, (y, case.draw(rows, width, part=4), ours), theirs, defined)


@parity("rotary")
def test_rotary(case: Case, backend: Any) -> None:
    shape = [case.sizes[name] for name in ("batch", "heads", "positions", "head_width")]
    tables = angles(shape[2], shape[3], 10000.0)
    ours, theirs = leaves(case.draw(*shape, part=1)), wide(case.draw(*shape, part=1))
    y, defined = rotate(*ours, *tables, backend=backend), definitions.rotate(*theirs, *(t.double() for t in tables))
    check(case, (y, case.draw(*shape, part=2), ours), theirs, defined)


@parity("gate")
def test_gate(case: Case, backend: Any) -> None:
    shape = case.sizes["shape"]
    given = [case.draw(*shape, part=1) * 4, case.draw(*shape, part=2)]
    ours, theirs = leaves(*given), wide(*given)
    check(case, (gated(*ours, backend=backend), case.draw(*shape, part=3), ours), theirs, definitions.gated(*theirs))


@parity("attention")
def test_attention(case: Case, backend: Any) -> None:
    of = case.sizes
    shape = [of["batch"], of["heads"], of["positions"], of["head_width"]]
    keys = [of["batch"], of["kv_heads"], of["positions"], of["head_width"]]
    given = [case.draw(*shape, part=1), case.draw(*keys, part=2), case.draw(*keys, part=3)]
    ours, theirs = leaves(*given), wide(*given)
    alibi = of.get("alibi", False)
    scale = 1.0 / of["head_width"] if alibi else definitions.default_scale(of["head_width"])
    slopes_H = torch.tensor(slopes(of["heads"])) if alibi else torch.zeros(of["heads"])
    bias_HTT = causal_bias(slopes_H, of["positions"]) if alibi else None
    shared = of["heads"] // of["kv_heads"]
    q, k, v = theirs
    k, v = k.repeat_interleave(shared, 1), v.repeat_interleave(shared, 1)
    y = attention(*ours, scale=scale, bias_HTT=bias_HTT, backend=backend)
    defined = definitions.attention(q, k, v, scale, slopes_H.double())
    check(case, (y, case.draw(*shape, part=4), ours), theirs, defined)


@parity("adamw")
def test_adamw(case: Case, backend: Any) -> None:
    p, g, m, v = (case.draw(case.sizes["numbers"], part=part) for part in range(4))
    v = v.square()
    numbers = {"step": case.sizes["step"], "lr": 1e-2, "eps": 1e-8}
    defined = definitions.adamw(
        *(t.double() for t in (p, g, m, v)),
        **numbers,
        gradient_scale=case.sizes["gradient_scale"],
        b1=0.9,
        b2=0.95,
        decay=case.sizes["decay"],
    )
    by = Update(
        **numbers, beta1=0.9, beta2=0.95, weight_decay=case.sizes["decay"], gradient_scale=case.sizes["gradient_scale"]
    )
    adamw(p, g, m, v, by, backend=backend)
    case.check([p, m, v], defined)


@parity("linear_cross_entropy")
def test_linear_cross_entropy(case: Case, backend: Any) -> None:
    n, d, v = (case.sizes[name] for name in ("positions", "width", "vocabulary"))
    given = [case.draw(n, d, part=1), case.draw(v, d, part=2)]
    targets_N = torch.randint(v, (n,), generator=torch.Generator().manual_seed(case.seed))
    ours, theirs, scale = leaves(*given), wide(*given), case.sizes["scale"]
    loss = linear_cross_entropy(*ours, targets_N, scale, backend=backend)
    defined = definitions.cross_entropy(*theirs, targets_N, scale)
    check(case, (loss, torch.tensor(1.7), ours), theirs, defined)


@parity("linear_distillation")
def test_linear_distillation(case: Case, backend: Any) -> None:
    n, d, e, v = (case.sizes[name] for name in ("positions", "width", "teacher_width", "vocabulary"))
    given = [case.draw(n, d, part=1), case.draw(v, d, part=2)]
    teacher = [case.draw(n, e, part=3), case.draw(v, e, part=4)]
    ours, theirs, scales = leaves(*given), wide(*given), (case.sizes["scale"], case.sizes["teacher_scale"])
    loss = linear_distillation(*ours, scales[0], *teacher, scales[1], backend=backend)
    defined = definitions.distillation(*theirs, scales[0], *(t.double() for t in teacher), scales[1])
    check(case, (loss, torch.tensor(1.7), ours), theirs, defined)


@parity("binary_linear")
def test_binary_linear(case: Case, backend: Any) -> None:
    of = case.sizes
    sizes = {"input": of["inputs"], "output": of["outputs"], "tensor": 1}[of["scale"]]
    weight_OI = case.draw(of["outputs"], of["inputs"], part=1)
    weight_OI.view(-1)[: of["zeros"]] = 0.0
    given = [
        case.draw(of["tokens"], of["inputs"], part=2),
        weight_OI,
        case.draw(sizes, part=3),
        case.draw(sizes, part=4),
    ]
    if getattr(backend, "activations", None) == "int8":
        given[0], given[2] = given[0].mul(20).round().clamp(-127, 127), given[2].sign()
        given[0][:, 0] = 127.0  # the step is one, and nothing is lost
    ours, theirs = leaves(*given), wide(*given)
    zero = {"minus_one": -1.0, "plus_one": 1.0, "zero": 0.0}[of["zero"]]
    defined = definitions.binary_linear(*theirs, of["scale"], zero)
    if of["zero"] == "zero" and of["zeros"] and backend.kind in ("packed", "triton"):  # three values, and one bit
        with pytest.raises(ArtifactError, match="weights are exactly zero"), torch.no_grad():
            binary_linear(*ours, scale=of["scale"], zero=of["zero"], backend=backend)
        return
    with torch.set_grad_enabled(backend.kind != "packed"):
        y = binary_linear(*ours, scale=of["scale"], zero=of["zero"], backend=backend)
    if backend.kind == "packed":
        case.check([y], [defined.detach()])
    else:
        check(case, (y, case.draw(*y.shape, part=5), ours), theirs, defined)


@parity("ssd_scan")
def test_ssd_scan(case: Case, backend: Any) -> None:
    of = case.sizes
    front, groups = (of["batch"], of["tokens"]), (of["groups"], of["state"])
    x, b, c = (case.draw(*front, *last, part=i) for i, last in enumerate(((of["heads"], of["width"]), groups, groups)))
    dt = (case.draw(*front, of["heads"], part=3).sigmoid() * 0.1 + 0.001) * of["steps"]
    a, d = -1.0 - 15.0 * case.draw(of["heads"], part=4).sigmoid(), case.draw(of["heads"], part=5)
    ours, theirs = leaves(x, dt, a, b, c, d), wide(x, dt, a, b, c, d)
    shared = of["heads"] // of["groups"]
    b_BTHN, c_BTHN = (theirs[i].repeat_interleave(shared, 2) for i in (3, 4))
    defined = definitions.ssd_scan(*theirs[:3], b_BTHN, c_BTHN, theirs[5])
    check(case, (ssd_scan(*ours, backend=backend), case.draw(*x.shape, part=6), ours), theirs, defined)


@parity("causal_conv")
def test_causal_conv(case: Case, backend: Any) -> None:
    of = case.sizes
    shape = (of["batch"], of["tokens"], of["channels"])
    given = [case.draw(*shape, part=1), case.draw(of["channels"], 1, of["seen"], part=2)]
    given.append(case.draw(of["channels"], part=3))
    ours, theirs = leaves(*given), wide(*given)
    y, defined = causal_conv(*ours, backend=backend), definitions.causal_conv(*theirs)
    check(case, (y, case.draw(*shape, part=4), ours), theirs, defined)


def declared(op: str) -> set[str]:
    """The backends that the spec allows for an op."""
    kind = Kernels.model_fields[op].annotation
    if all(isinstance(value, str) for value in get_args(kind)):
        return set(get_args(kind))
    return {get_args(choice.model_fields["kind"].annotation)[0] for choice in get_args(kind)}


@pytest.mark.parametrize("op", sorted(set(Kernels.model_fields) - NO_OPS))
def test_every_backend_of_every_op_has_cases(op: str) -> None:
    file = read(op)
    said = [backend(op, each) for each in (*file["backends"], *file.get("gpu", ()))]
    assert {each if isinstance(each, str) else each.kind for each in said} == declared(op)
    assert file["cases"]


def test_every_case_file_is_of_an_op() -> None:
    assert {file.stem for file in CASES.glob("*.yaml")} <= set(Kernels.model_fields) - NO_OPS
