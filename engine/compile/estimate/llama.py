"""Closed forms of the LLaMA family."""

from engine.compile.estimate.counts import Counts, Products, scale_entries
from engine.kernels.spec import Kernels
from engine.models.spec import Llama

RMS_NORM = 3  # widths that the reference keeps of a norm: its input, the normalized input, the result
FUSED_NORM = 2  # input and result; LayerNorm of torch is one of these


def matrices(model: Llama) -> tuple[tuple[int, int], ...]:
    """(inputs, outputs) of every matrix of one block: query, key, value, output, gate, up, down."""
    width, kv = model.width, kv_width(model)
    return ((width, width), (width, kv), (width, kv), (width, width), *gated(width, model.mlp))


def gated(width: int, inner: int) -> tuple[tuple[int, int], ...]:
    """(inputs, outputs) of the three matrices of a gated feed-forward block."""
    return (width, inner), (width, inner), (inner, width)


def kv_width(model: Llama) -> int:
    """Numbers of one position's keys, and of its values."""
    return model.width // model.heads * model.kv_heads


def counts(model: Llama) -> Counts:
    """Every trained number: two norms a block, and the last."""
    embedding = model.vocabulary * model.width
    return Counts(
        embedding=embedding,
        head=0 if model.tied else embedding,
        matrices=model.layers * sum(i * o for i, o in matrices(model)),
        vectors=(2 * model.layers + 1) * model.width,
        scales=model.layers * sum(scale_entries(i, o, model.linear) for i, o in matrices(model)),
    )


def products(model: Llama, tokens: int, kernels: Kernels) -> Products:
    """Of one row of `tokens` positions."""
    found = counts(model)
    return Products(
        matrices=tokens * found.matrices,
        head=tokens * found.embedding,
        attention=model.layers * 2 * model.width * pairs(tokens, kernels),
    )


def pairs(tokens: int, kernels: Kernels) -> int:
    """Pairs of positions whose score is computed: the reference computes all and masks the later ones."""
    return tokens * tokens if kernels.attention == "reference" else tokens * (tokens + 1) // 2


def kept_values(model: Llama, tokens: int, kernels: Kernels) -> int:
    """Numbers that one position leaves behind for the backward pass, in all blocks."""
    norm = RMS_NORM if kernels.norm == "reference" else FUSED_NORM
    return model.layers * block_values(model.width, model.heads, model.mlp, norm, tokens, kernels)


def block_values(width: int, heads: int, mlp: int, norm: int, tokens: int, kernels: Kernels) -> int:
    """Of one block: its two norms, attention, and gate, activation, up and their product.

    Attention keeps queries, keys and values as every head sees them, and their mix; a fused kernel the mix a second
    time, turned, and one number a head, where the reference keeps the probabilities of all positions.
    """
    scores = heads * tokens if kernels.attention == "reference" else width + heads
    return 2 * norm * width + 4 * width + scores + 4 * mlp


def state_values(model: Llama, positions: int) -> int:
    """Numbers of the decode state of one sequence: keys and values of every position."""
    return model.layers * 2 * kv_width(model) * positions
