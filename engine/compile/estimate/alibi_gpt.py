"""Closed forms of the ALiBi family: biases everywhere, one matrix for both embeddings."""

from engine.compile.estimate.counts import Counts, Products, scale_entries
from engine.compile.estimate.llama import FUSED_NORM, block_values, gated, pairs
from engine.kernels.spec import Kernels
from engine.models.spec import AlibiGpt


def matrices(model: AlibiGpt) -> tuple[tuple[int, int], ...]:
    """(inputs, outputs) of every matrix of one block: query, key, value, output, gate, up, down."""
    return (((model.width, model.width),) * 4) + gated(model.width, model.mlp)


def counts(model: AlibiGpt) -> Counts:
    """Every matrix has a bias, every norm a weight and a bias; positions have no parameters."""
    shapes, norm = matrices(model), 2 * model.width
    return Counts(
        embedding=model.vocabulary * model.width,
        head=0,
        matrices=model.layers * sum(i * o for i, o in shapes),
        vectors=model.layers * (sum(o for _, o in shapes) + 2 * norm) + norm,
        scales=model.layers * sum(scale_entries(i, o, model.linear) for i, o in shapes),
    )


def products(model: AlibiGpt, tokens: int, kernels: Kernels) -> Products:
    """Of one row of `tokens` positions."""
    found = counts(model)
    return Products(
        matrices=tokens * found.matrices,
        head=tokens * found.embedding,
        attention=model.layers * 2 * model.width * pairs(tokens, kernels),
    )


def kept_values(model: AlibiGpt, tokens: int, kernels: Kernels) -> int:
    """Numbers that one position leaves behind for the backward pass, in all blocks."""
    return model.layers * block_values(model.width, model.heads, model.mlp, FUSED_NORM, tokens, kernels)


def state_values(model: AlibiGpt, positions: int) -> int:
    """Numbers of the decode state of one sequence: keys and values of every position."""
    return model.layers * 2 * model.width * positions
