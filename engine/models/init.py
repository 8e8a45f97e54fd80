"""Initial weights from named Philox streams, drawn in fp64 and rounded once: equal on every machine, without torch."""

import math

import numpy as np
import numpy.typing as npt

from engine.models.spec import Llama, NormalInit
from engine.spec.philox import generator

Weights = dict[str, npt.NDArray[np.float32]]

RESIDUAL = ("attention.output.weight", "mlp.down.weight")  # the matrices that write into the residual stream


def parameter_shapes(model: Llama) -> dict[str, tuple[int, ...]]:
    """Every parameter of the engine's module by name; a tied head has none of its own."""
    width, head_width = model.width, model.width // model.heads
    block = {
        "attention_norm.weight": (width,),
        "attention.query.weight": (width, width),
        "attention.key.weight": (model.kv_heads * head_width, width),
        "attention.value.weight": (model.kv_heads * head_width, width),
        "attention.output.weight": (width, width),
        "mlp_norm.weight": (width,),
        "mlp.gate.weight": (model.mlp, width),
        "mlp.up.weight": (model.mlp, width),
        "mlp.down.weight": (width, model.mlp),
    }
    shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (model.vocabulary, width)}
    for layer in range(model.layers):
        shapes |= {f"layers.{layer}.{name}": shape for name, shape in block.items()}
    shapes["norm.weight"] = (width,)
    if not model.tied:
        shapes["head.weight"] = (model.vocabulary, width)
    return shapes


def initial_weights(model: Llama, seed: int) -> Weights:
    """Ones for norms; for each matrix its own stream ("model", "init", name), scaled in fp64, rounded to fp32."""
    return {name: _draw(name, shape, model, seed) for name, shape in parameter_shapes(model).items()}


def _draw(name: str, shape: tuple[int, ...], model: Llama, seed: int) -> npt.NDArray[np.float32]:
    if len(shape) == 1:
        return np.ones(shape, np.float32)
    normals = generator(seed, "model", "init", name).normal(math.prod(shape))
    return (normals * _std(name, model.init, model.layers)).astype(np.float32).reshape(shape)


def _std(name: str, init: NormalInit, layers: int) -> float:
    if init.residual == "scaled" and name.endswith(RESIDUAL):
        return init.std / math.sqrt(2 * layers)
    return init.std
