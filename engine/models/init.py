"""Initial weights from named Philox streams, drawn in fp64 and rounded once: equal on every machine, without torch."""

import math
from collections.abc import Mapping
from typing import assert_never

import numpy as np
import numpy.typing as npt

from engine.models.llama_shapes import RESIDUAL, llama_shapes
from engine.models.scales import with_initial_scales
from engine.models.spec import AlibiGpt, Dense, Llama, Mamba2, Model, NormalInit
from engine.spec.philox import generator

Weights = dict[str, npt.NDArray[np.float32]]
Shapes = Mapping[str, tuple[int, ...]]


def parameter_shapes(model: Model) -> Shapes:
    """Every parameter of the engine's module by name."""
    match model:
        case Llama():
            return llama_shapes(model)
        case AlibiGpt():
            raise NotImplementedError
        case Mamba2():
            raise NotImplementedError
        case _:
            assert_never(model)


def initial_weights(model: Model, seed: int) -> Weights:
    """What a run begins with, for every parameter; the scales of 1-bit matrices follow from their latent weights."""
    return with_initial_scales(_drawn(model, seed), parameter_shapes(model), model.linear)


def _drawn(model: Model, seed: int) -> Weights:
    """All parameters but the scales of 1-bit matrices."""
    match model:
        case Llama():
            return draw(llama_shapes(model.replace(linear=Dense())), model.init, RESIDUAL, model.layers, seed)
        case AlibiGpt():
            raise NotImplementedError
        case Mamba2():
            raise NotImplementedError
        case _:
            assert_never(model)


def draw(shapes: Shapes, init: NormalInit, residual: tuple[str, ...], layers: int, seed: int) -> Weights:
    """Ones for vectors; for each matrix its own stream ("model", "init", name), scaled in fp64, rounded to fp32.

    `residual` are the ends of the names of the matrices that write into the residual stream.
    """
    deep = init.std / math.sqrt(2 * layers) if init.residual == "scaled" else init.std
    return {
        name: _draw(name, shape, deep if name.endswith(residual) else init.std, seed) for name, shape in shapes.items()
    }


def _draw(name: str, shape: tuple[int, ...], std: float, seed: int) -> npt.NDArray[np.float32]:
    if len(shape) == 1:
        return np.ones(shape, np.float32)
    normals = generator(seed, "model", "init", name).normal(math.prod(shape))
    return (normals * std).astype(np.float32).reshape(shape)
