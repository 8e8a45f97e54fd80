"""Initial weights from named Philox streams, drawn in fp64 and rounded once: equal on every machine, without torch."""

import math
from collections.abc import Mapping
from typing import assert_never

import numpy as np
import numpy.typing as npt

from engine.models.alibi_gpt_shapes import EMBEDDING, WRITERS, alibi_gpt_shapes
from engine.models.llama_shapes import RESIDUAL, llama_shapes
from engine.models.mamba2_init import draw_mamba2
from engine.models.mamba2_shapes import mamba2_shapes
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
            return alibi_gpt_shapes(model)
        case Mamba2():
            return mamba2_shapes(model)
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
            return draw_mup(model, seed)
        case Mamba2():
            return draw_mamba2(model, seed)
        case _:
            assert_never(model)


def draw_mup(model: AlibiGpt, seed: int) -> Weights:
    """The embedding with spread `init.std` at every width, matrices inside blocks with std * sqrt(base_width / width).

    So at the base width both are std, and a wider matrix maps activations of size one to size one again: the spread
    falls with the root of its inputs (Yang et al. 2022, table 8). Matrices that write into the residual stream are
    divided by sqrt(2 layers) besides; biases are zero, the weights of norms one.
    """
    shapes = dict(alibi_gpt_shapes(model.replace(linear=Dense())))
    embedding = {EMBEDDING: shapes.pop(EMBEDDING)}
    inside = model.init.replace(std=model.init.std * math.sqrt(model.mup.base_width / model.width))
    outer = draw(embedding, model.init, (), model.layers, seed)
    return outer | draw(shapes, inside, WRITERS, model.layers, seed)


def draw(shapes: Shapes, init: NormalInit, residual: tuple[str, ...], layers: int, seed: int) -> Weights:
    """Vectors are ones, but biases zeros; every matrix is drawn from its own stream ("model", "init", name).

    Draws are scaled in fp64 and rounded to fp32. `residual` are the ends of the names of the matrices that write into
    the residual stream.
    """
    deep = init.std / math.sqrt(2 * layers) if init.residual == "scaled" else init.std
    return {
        name: _draw(name, shape, deep if name.endswith(residual) else init.std, seed) for name, shape in shapes.items()
    }


def _draw(name: str, shape: tuple[int, ...], std: float, seed: int) -> npt.NDArray[np.float32]:
    if len(shape) == 1:
        return np.zeros(shape, np.float32) if name.endswith(".bias") else np.ones(shape, np.float32)
    normals = generator(seed, "model", "init", name).normal(math.prod(shape))
    return (normals * std).astype(np.float32).reshape(shape)
