"""Initial weights of Mamba-2 as the paper's code draws them, in fp64 by our own exp and log, without torch.

Matrices and the convolution: uniform in +-1/sqrt(inputs of one output), torch's default for such layers; the matrix
that writes into the residual stream divided by sqrt(layers). Embedding: normal. A of each head: uniform, kept as its
logarithm. dt of each head: log-uniform and at least `dt_floor`, kept as its inverse softplus. D and norms: one.
"""

import math
from typing import assert_never

import numpy as np
import numpy.typing as npt

from engine.models.mamba2_shapes import mamba2_shapes
from engine.models.spec import Dense, Mamba2
from engine.spec.philox import LN2_HIGH, LN2_LOW, Floats, Stream, generator, log

RESIDUAL = "mixer.output.weight"
EXP_TERMS = 15  # |r| <= 0.35, so the first term left out is below 2**-60
SMALL = 0.5
SMALL_TERMS = 19  # 0.5**19 / 20! is below 2**-60 of 0.5


def draw_mamba2(model: Mamba2, seed: int) -> dict[str, npt.NDArray[np.float32]]:
    """Every parameter but the scales of 1-bit matrices, each from its own stream ("model", "init", name)."""
    shapes = mamba2_shapes(model.replace(linear=Dense()))
    return {
        name: _draw(name, shape, model, generator(seed, "model", "init", name)).astype(np.float32)
        for name, shape in shapes.items()
    }


def _draw(name: str, shape: tuple[int, ...], model: Mamba2, stream: Stream) -> Floats:
    n, init = math.prod(shape), model.init
    match name.rpartition(".")[2]:
        case "a_log":
            low, high = init.a
            return log(low + (high - low) * stream.uniform(n))
        case "dt_bias":
            low, high = log(np.array(init.dt))
            return inverse_softplus(np.maximum(exp(low + (high - low) * stream.uniform(n)), init.dt_floor))
        case "bias":
            return _uniform(stream, shape, model.conv)
        case "weight" if name == "embedding.weight":
            return (stream.normal(n) * init.embedding_std).reshape(shape)
        case "weight" if len(shape) > 1:
            drawn = _uniform(stream, shape, math.prod(shape[1:]))
            return drawn / math.sqrt(_depth(model)) if name.endswith(RESIDUAL) else drawn
        case _:
            return np.ones(shape)


def _depth(model: Mamba2) -> int:
    match model.init.residual:
        case "scaled":
            return model.layers
        case "plain":
            return 1
        case _:
            assert_never(model.init.residual)


def _uniform(stream: Stream, shape: tuple[int, ...], inputs: int) -> Floats:
    return ((stream.uniform(math.prod(shape)) * 2.0 - 1.0) / math.sqrt(inputs)).reshape(shape)


def inverse_softplus(y: Floats) -> Floats:
    """x with log(1 + exp x) = y, for positive y: y + log(1 - exp(-y))."""
    return y + log(_below_one(y))


def _below_one(y: Floats) -> Floats:
    """1 - exp(-y) of positive y, without cancellation where y is small."""
    small = np.minimum(y, SMALL)
    series = np.ones_like(small)
    for k in range(SMALL_TERMS, 1, -1):
        series = 1.0 - series * small / k
    return np.where(y < SMALL, small * series, 1.0 - exp(-y))


def exp(x: Floats) -> Floats:
    """The exponential within a few units in the last place, equal on every machine: 2**n times a Taylor series."""
    n = np.rint(x / (LN2_HIGH + LN2_LOW))
    rest = (x - n * LN2_HIGH) - n * LN2_LOW
    series = np.ones_like(rest)
    for k in range(EXP_TERMS, 0, -1):
        series = 1.0 + series * rest / k
    return np.ldexp(series, n.astype(np.int32))
