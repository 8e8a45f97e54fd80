"""The parameters of the alibi_gpt module by name, without torch."""

from engine.models.scales import with_scales
from engine.models.spec import AlibiGpt

EMBEDDING = "embedding.weight"
WRITERS = ("attention.output.weight", "mlp.down.weight")  # the matrices that write into the residual stream


def alibi_gpt_shapes(model: AlibiGpt) -> dict[str, tuple[int, ...]]:
    """Every parameter with its shape; the head is the embedding."""
    width = model.width
    matrices = {
        **{f"attention.{name}": (width, width) for name in ("query", "key", "value", "output")},
        "mlp.gate": (model.mlp, width),
        "mlp.up": (model.mlp, width),
        "mlp.down": (width, model.mlp),
    }
    block: dict[str, tuple[int, ...]] = {}
    for name, shape in matrices.items():
        if name in ("attention.query", "mlp.gate"):
            block |= _norm(f"{name.partition('.')[0]}_norm", width)
        block |= with_scales({f"{name}.weight": shape}, model.linear)
        block[f"{name}.bias"] = shape[:1]
    shapes: dict[str, tuple[int, ...]] = {EMBEDDING: (model.vocabulary, width)}
    for layer in range(model.layers):
        shapes |= {f"layers.{layer}.{name}": shape for name, shape in block.items()}
    return shapes | _norm("norm", width)


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
