"""The scales of 1-bit matrices, without torch: where they stand and what they begin with."""

from collections.abc import Mapping
from typing import assert_never

import numpy as np
import numpy.typing as npt

from engine.models.spec import Dense, FbiLinear, Linear

Array = npt.NDArray[np.float32]
Shape = tuple[int, ...]


def with_scales(block: dict[str, Shape], how: Linear) -> dict[str, Shape]:
    """The parameters of a block with `alpha` and `beta` after every matrix [outputs, inputs] that has them."""
    match how:
        case Dense():
            return block
        case FbiLinear():
            found: dict[str, Shape] = {}
            for name, shape in block.items():
                found[name] = shape
                if len(shape) == 2:
                    length = {"input": shape[1], "output": shape[0], "tensor": 1}[how.scale]
                    stem = name.removesuffix("weight")
                    found |= {f"{stem}alpha": (length,), f"{stem}beta": (length,)}
            return found
        case _:
            assert_never(how)


def with_initial_scales(weights: dict[str, Array], shapes: Mapping[str, Shape], how: Linear) -> dict[str, Array]:
    """The weights, in the order of the shapes, with the scales of every 1-bit matrix made from its latent weights."""
    match how:
        case Dense():
            return weights
        case FbiLinear():
            found = dict(weights)
            for name in shapes:
                if name.endswith(".alpha"):
                    stem = name.removesuffix("alpha")
                    found[name], found[f"{stem}beta"] = scales_of(weights[f"{stem}weight"], how)
            return {name: found[name] for name in shapes}
        case _:
            assert_never(how)


def scales_of(weight_OI: Array, how: FbiLinear) -> tuple[Array, Array]:
    """alpha = mean |W - mean W| and beta = mean W over the other axis, in fp64, rounded once; each of shape [S]."""
    wide_OI = weight_OI.astype(np.float64)
    match how.scale:
        case "input":
            beta_S = _mean(wide_OI)
            alpha_S = _mean(np.abs(wide_OI - beta_S))
        case "output":
            beta_S = _mean(wide_OI.T)
            alpha_S = _mean(np.abs(wide_OI.T - beta_S))
        case "tensor":
            beta_S = _mean(_mean(wide_OI)[:, None])
            alpha_S = _mean(_mean(np.abs(wide_OI - beta_S))[:, None])
        case _:
            assert_never(how.scale)
    return alpha_S.astype(np.float32), beta_S.astype(np.float32)


def _mean(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The mean over the first axis, row after row: numpy's own sums group terms by the vector width of the machine."""
    total = np.zeros(rows.shape[1:], np.float64)
    for row in rows:
        total += row
    return total / len(rows)
