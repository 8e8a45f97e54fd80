"""Closed forms of the LLaMA family."""

from engine.compile.estimate.counts import Counts, Products, scale_entries
from engine.kernels.spec import Kernels
from engine.models.spec import Llama


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
    return model.layers * (attention_values(model.width, model.heads, kv_width(model), tokens, kernels) + 4 * model.mlp)


def attention_values(width: int, heads: int, kv: int, tokens: int, kernels: Kernels) -> int:
    """What a block keeps besides its feed-forward products (4 inner widths: gate, its activation, up, both's product).

    Of the width: input and normalized input of both norms (4), their results (2), queries and the result of attention
    (2); keys, and values. A fused kernel keeps one number a head; the reference keeps scores and probabilities of all
    positions.
    """
    scores = 2 * heads * tokens if kernels.attention == "reference" else heads
    return 8 * width + 2 * kv + scores


def state_values(model: Llama, positions: int) -> int:
    """Numbers of the decode state of one sequence: keys and values of every position."""
    return model.layers * 2 * kv_width(model) * positions
