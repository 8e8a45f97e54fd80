"""Initial weights: names and shapes of the module, the declared spread, and a digest that holds on every machine."""

import numpy as np
import pytest

from engine.kernels.spec import Kernels
from engine.models.build import build
from engine.models.init import initial_weights, parameter_shapes
from engine.models.spec import Llama, NormalInit
from engine.spec.canonical import digest


def tiny(**changes: object) -> Llama:
    spec = Llama(kind="llama", vocabulary=300, layers=2, width=32, heads=4, kv_heads=2, mlp=48, context=64, tied=True)
    return spec.replace(**changes)


@pytest.mark.parametrize("tied", [True, False])
def test_every_parameter_of_the_module_has_its_weights(tied: bool) -> None:
    spec = tiny(tied=tied)
    module = build(spec, Kernels())
    assert {n: tuple(p.shape) for n, p in module.named_parameters()} == parameter_shapes(spec)


def test_golden_digest() -> None:
    weights = initial_weights(tiny(), 20260801)
    assert digest({name: w.tobytes().hex() for name, w in weights.items()}) == GOLDEN


def test_spread_is_the_declared_one() -> None:
    weights = initial_weights(tiny(width=128, init=NormalInit(std=0.05)), 1)
    assert np.std(weights["layers.0.mlp.up.weight"]) == pytest.approx(0.05, rel=0.03)
    assert np.std(weights["layers.0.mlp.down.weight"]) == pytest.approx(0.05 / 2, rel=0.03)
    assert np.all(weights["layers.1.mlp_norm.weight"] == 1.0)


def test_a_tensor_does_not_depend_on_the_others() -> None:
    small, large = initial_weights(tiny(), 1), initial_weights(tiny(layers=3, init=NormalInit(residual="plain")), 1)
    assert np.array_equal(small["layers.1.mlp.up.weight"], large["layers.1.mlp.up.weight"])
    assert not np.array_equal(small["embedding.weight"], initial_weights(tiny(), 2)["embedding.weight"])


GOLDEN = "68927f6d62e281420d26d8afd26b4ef39754853e4b76caa6193145642f1f833d"
