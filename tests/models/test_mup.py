"""muP: which parameters take what share of the rate, and the coordinate check over widths.

The check is that of Yang et al. 2022 (appendix D.1): the same rows, the same rate, a few Adam steps at several widths;
then how far the activations have moved from those at the start, as a mean over absolute values. Under muP this does not
grow with the width. It does when the rates are not scaled, or nothing is.
"""

from itertools import pairwise
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine.kernels.spec import Kernels, ReferenceLoss
from engine.models.build import build, load_weights
from engine.models.init import initial_weights
from engine.models.rates import rate_scales
from engine.models.spec import Alibi, AlibiGpt, FbiLinear, MuP, NormalInit
from engine.train.objectives.next_token import next_token
from engine.train.optimizer import groups
from engine.train.optimizers.adamw import AdamWOptimizer
from engine.train.spec import AdamW, Cosine

Way = Literal["mup", "rates unscaled", "none"]
BASE_WIDTH, RATE, STEPS = 64, 0.01, 4
IDS_BT = torch.from_numpy(np.random.Generator(np.random.Philox(1)).integers(0, 200, (4, 17)))
ADAMW = AdamW(
    kind="adamw", lr=Cosine(kind="cosine", peak=RATE, floor=0.0, warmup_steps=0), betas=(0.9, 0.95), weight_decay=0.0,
    clip=1.0,
)  # fmt: skip


def narrow(width: int, **changes: object) -> AlibiGpt:
    spec = AlibiGpt(
        kind="alibi_gpt", vocabulary=200, layers=2, width=width, heads=width // 16, mlp=2 * width, context=16,
        position=Alibi(kind="alibi"), mup=MuP(base_width=BASE_WIDTH), init=NormalInit(std=0.15),
    )  # fmt: skip
    return spec.replace(**changes)


def moved(width: int, way: Way) -> dict[str, float]:
    """How far activations and logits move in a few steps: mean |after - before|, by name."""
    spec = narrow(width, mup=MuP(base_width=width)) if way == "none" else narrow(width)
    model = build(spec, Kernels())
    load_weights(model, initial_weights(spec, 1), "test")
    rates = dict.fromkeys(rate_scales(spec), 1.0) if way == "rates unscaled" else rate_scales(spec)
    optimizer = AdamWOptimizer(model, ADAMW, rates, ("exp_avg", "exp_avg_sq"), "reference")
    before = activations(model)
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        next_token(model, IDS_BT, ReferenceLoss())["next_token"].backward()
        optimizer.prepare(step, RATE, 1.0)
        optimizer.step()
    after = activations(model)
    return {name: (after[name] - before[name]).abs().mean().item() for name in before}


def activations(model: nn.Module) -> dict[str, Tensor]:
    """What the last block's attention and feed-forward add to the residual stream, and the logits."""
    found: dict[str, Tensor] = {}
    names = ("layers.1.attention.output", "layers.1.mlp.down")
    hooks = [
        model.get_submodule(name).register_forward_hook(lambda _, __, y, name=name: found.update({name: y}))
        for name in names
    ]
    with torch.no_grad():
        found["logits"] = model(IDS_BT[:, :-1])
    for hook in hooks:
        hook.remove()
    return found


def growth(widths: tuple[int, ...], way: Way) -> dict[str, float]:
    """By what factor the widest moves more than the narrowest."""
    first, last = moved(widths[0], way), moved(widths[-1], way)
    return {name: last[name] / first[name] for name in first}


def test_coordinates_do_not_grow_with_the_width() -> None:
    assert max(growth((64, 256), "mup").values()) < 1.2
    rates_unscaled, none = growth((64, 256), "rates unscaled"), growth((64, 256), "none")
    for name in ("layers.1.attention.output", "layers.1.mlp.down"):
        assert rates_unscaled[name] > 1.3
        assert none[name] > 2.5
    assert none["logits"] > 1.5


@pytest.mark.slow
def test_coordinates_over_four_doublings() -> None:
    widths = (64, 128, 256, 512)
    mup = [moved(width, "mup") for width in widths]
    none = [moved(width, "none") for width in widths]
    for name in mup[0]:
        assert max(found[name] for found in mup) < 1.2 * mup[0][name]
        assert all(wide[name] > 1.15 * less[name] for less, wide in pairwise(none))


def test_matrices_inside_blocks_take_a_share_of_the_rate() -> None:
    scales = rate_scales(narrow(256, linear=FbiLinear(kind="fbi")))
    assert {name for name, scale in scales.items() if scale == 0.25} == {
        f"layers.{layer}.{module}.{part}"
        for layer in (0, 1)
        for module in ("attention.query", "attention.key", "attention.value", "attention.output", "mlp.gate", "mlp.up",
                       "mlp.down")
        for part in ("weight", "alpha", "beta")
    }  # fmt: skip
    assert set(scales.values()) == {0.25, 1.0}


def test_groups_keep_the_order_of_the_model() -> None:
    spec = narrow(128)
    model = build(spec, Kernels())
    found = groups(model, rate_scales(spec))
    assert [(group["decays"], group["rate"]) for group in found] == [(True, 1.0), (True, 0.5), (False, 1.0)]
    names = {id(p): name for name, p in model.named_parameters()}
    assert [names[id(p)] for p in found[0]["params"]] == ["embedding.weight"]
    assert [names[id(p)] for p in found[2]["params"]] == [n for n, p in model.named_parameters() if p.ndim < 2]
    assert sum(len(group["params"]) for group in found) == len(names)
