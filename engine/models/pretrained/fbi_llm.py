"""1-bit matrices as FBI-LLM and Bi-Mamba store them: `weight` is the latent matrix, `wscale` alpha, `wbias` beta.

The sign of an exact zero is zero, as in their code. Which axis the scales follow is the shape that they are stored in:
[1, inputs], [outputs, 1], or [1]. Source: LiqunMa/FBI-LLM, qat/learnable_binarizer.py, which Bi-Mamba has too.
"""

from collections.abc import Callable, Mapping

import numpy as np

from engine.models.pretrained.layout import Place
from engine.models.pretrained.stored import Array
from engine.models.spec import Dense, FbiLinear, Linear
from engine.spec.errors import ArtifactError

LEAVES = {"alpha": "wscale", "beta": "wbias"}
SCALE = f".{LEAVES['alpha']}"


def linear_of(shapes: Mapping[str, tuple[int, ...]], where: str) -> Linear:
    """What the matrices of a file are, from the names and shapes of its tensors."""
    found = {name: shape for name, shape in shapes.items() if name.endswith(SCALE)}
    if not found:
        return Dense()
    name, shape = min(found.items())
    match shape:
        case (1,):
            return FbiLinear(kind="fbi", scale="tensor", zero="zero")
        case (1, _):
            return FbiLinear(kind="fbi", scale="input", zero="zero")
        case (_, 1):
            return FbiLinear(kind="fbi", scale="output", zero="zero")
    raise ArtifactError(f"{where}: {name} has shape {shape}; scales are [1, inputs], [outputs, 1] or [1]")


def place(name: str, dense_name: Callable[[str], str], how: Linear) -> Place:
    """The place of a parameter, from its name in files whose matrices are dense."""
    stem, _, leaf = name.rpartition(".")
    if isinstance(how, Dense) or leaf not in LEAVES:
        return Place(dense_name(name))
    theirs = dense_name(f"{stem}.weight").removesuffix("weight") + LEAVES[leaf]

    def flat(value: Array) -> Array:
        shape = {"input": (1, value.size), "output": (value.size, 1), "tensor": (1,)}[how.scale]
        return np.ravel(value) if value.shape == shape else value  # another shape is refused as it is

    return Place(theirs, flat)
