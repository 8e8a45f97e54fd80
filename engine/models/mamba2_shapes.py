"""The parameters of the Mamba-2 module by name, without torch."""

from engine.models.scales import with_scales
from engine.models.spec import Mamba2


def inner_width(model: Mamba2) -> int:
    """Channels of the scan: all heads side by side."""
    return model.width * model.expand


def heads(model: Mamba2) -> int:
    """Heads of the scan, each with its own A, D and dt."""
    return inner_width(model) // model.head_width


def projected(model: Mamba2) -> tuple[int, int, int, int, int]:
    """What the input projection gives, in this order: z, x, B, C, dt."""
    inner, shared = inner_width(model), model.groups * model.state
    return inner, inner, shared, shared, heads(model)


def mamba2_shapes(model: Mamba2) -> dict[str, tuple[int, ...]]:
    """Every parameter with its shape; a tied head has none of its own.

    The convolution's weight has three axes, [channels, 1, positions]: only `input` and `output` are matrices, and
    so they alone become 1-bit matrices where the spec wants them.
    """
    parts = projected(model)
    channels = sum(parts[1:4])
    block = {
        "norm.weight": (model.width,),
        "mixer.input.weight": (sum(parts), model.width),
        "mixer.conv.weight": (channels, 1, model.conv),
        "mixer.conv.bias": (channels,),
        "mixer.dt_bias": (heads(model),),
        "mixer.a_log": (heads(model),),
        "mixer.d": (heads(model),),
        "mixer.norm.weight": (inner_width(model),),
        "mixer.output.weight": (model.width, inner_width(model)),
    }
    block = with_scales(block, model.linear)
    shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (model.vocabulary, model.width)}
    for layer in range(model.layers):
        shapes |= {f"layers.{layer}.{name}": shape for name, shape in block.items()}
    shapes["norm.weight"] = (model.width,)
    if not model.tied:
        shapes["head.weight"] = (model.vocabulary, model.width)
    return shapes
