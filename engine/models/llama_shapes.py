"""The parameters of the LLaMA module by name, without torch."""

from engine.models.scales import with_scales
from engine.models.spec import Llama

RESIDUAL = ("attention.output.weight", "mlp.down.weight")  # the matrices that write into the residual stream


def llama_shapes(model: Llama) -> dict[str, tuple[int, ...]]:
    """Every parameter with its shape; a tied head has none of its own."""
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
    block = with_scales(block, model.linear)
    shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (model.vocabulary, width)}
    for layer in range(model.layers):
        shapes |= {f"layers.{layer}.{name}": shape for name, shape in block.items()}
    shapes["norm.weight"] = (width,)
    if not model.tied:
        shapes["head.weight"] = (model.vocabulary, width)
    return shapes
