"""How much of the learning rate each parameter of a model takes, without torch."""

from typing import assert_never

from engine.models.init import parameter_shapes
from engine.models.spec import AlibiGpt, Llama, Mamba2, Model


def rate_scales(model: Model) -> dict[str, float]:
    """A factor for every parameter by name; 1 but under muP.

    Adam moves every entry of a matrix by about the rate, and outputs add up `width` of such moves: so matrices inside
    blocks take base_width / width of the rate (Yang et al. 2022, table 8), and the scales of 1-bit matrices with them.
    Embedding, norms and biases take it whole. Weight decay follows the rate that a parameter takes.
    """
    names = parameter_shapes(model)
    match model:
        case Llama() | Mamba2():
            return dict.fromkeys(names, 1.0)
        case AlibiGpt():
            inside = model.mup.base_width / model.width
            return {name: inside if _in_matrix(name) else 1.0 for name in names}
        case _:
            assert_never(model)


def _in_matrix(name: str) -> bool:
    _, layer, inner = name.partition("layers.")
    return bool(layer) and "norm" not in inner and not name.endswith(".bias")
