"""Closed forms of the Mamba-2 family."""

# E inner width, C channels of the convolution, H heads, P head width, G groups, N state, Q positions of a chunk

from engine.compile.estimate.counts import Counts, Products, scale_entries
from engine.kernels.spec import Kernels, RecurrentScan
from engine.models.spec import Mamba2

RECURRENCE = 3  # products for each entry of a state: decay times state, dt x times B, state times C


def inner_width(model: Mamba2) -> int:
    """E: what z and x have each."""
    return model.expand * model.width


def heads(model: Mamba2) -> int:
    """H."""
    return inner_width(model) // model.head_width


def channels(model: Mamba2) -> int:
    """C: x, B and C side by side."""
    return inner_width(model) + 2 * model.groups * model.state


def matrices(model: Mamba2) -> tuple[tuple[int, int], ...]:
    """(inputs, outputs) of the two matrices of a block: z, x, B, C and dt at once, and back to the width."""
    return (model.width, inner_width(model) + channels(model) + heads(model)), (inner_width(model), model.width)


def counts(model: Mamba2) -> Counts:
    """A block has its norm, the convolution with a bias, dt_bias, A and D of each head, and the gated norm."""
    shapes, embedding = matrices(model), model.vocabulary * model.width
    block = model.width + channels(model) * (model.conv + 1) + 3 * heads(model) + inner_width(model)
    return Counts(
        embedding=embedding,
        head=0 if model.tied else embedding,
        matrices=model.layers * sum(i * o for i, o in shapes),
        vectors=model.layers * block + model.width,
        scales=model.layers * sum(scale_entries(i, o, model.linear) for i, o in shapes),
    )


def products(model: Mamba2, tokens: int, kernels: Kernels) -> Products:
    """Of one row of `tokens` positions."""
    found = counts(model)
    return Products(
        matrices=tokens * found.matrices,
        head=tokens * found.embedding,
        convolution=model.layers * tokens * channels(model) * model.conv,
        scan=model.layers * scan_products(model, tokens, kernels),
    )


def scan_products(model: Mamba2, tokens: int, kernels: Kernels) -> int:
    """The reference goes position by position; the others make four products of each chunk, the last one shorter."""
    entries = inner_width(model) * model.state  # H P N: numbers of the state of a layer
    match kernels.ssd_scan:
        case RecurrentScan():
            return RECURRENCE * tokens * entries
        case chunked:
            whole, rest = divmod(tokens, chunked.chunk)
            return whole * _chunk_products(model, chunked.chunk) + _chunk_products(model, rest)


def _chunk_products(model: Mamba2, positions: int) -> int:
    """Scores C B^T of each group, their product with x; the states that come in times C, x times B for the next."""
    square, entries = positions * positions, inner_width(model) * model.state
    return square * (model.groups * model.state + inner_width(model)) + 2 * positions * entries


def kept_values(model: Mamba2, tokens: int, kernels: Kernels) -> int:
    """Numbers that one position leaves behind for the backward pass, in all blocks.

    The norm's input, normalized input and result (3 widths); z, x, B, C, dt as projected; the convolution's result and
    its activation; dt after softplus; y, the gate, gated y and its norm (4 inner widths). The recurrence keeps its
    state at every position, twice; a chunked scan keeps decays, scores and their product, and a state for each chunk.
    """
    inner, projected = inner_width(model), matrices(model)[0][1]
    kept = 3 * model.width + projected + 2 * channels(model) + 2 * heads(model) + 4 * inner
    match kernels.ssd_scan:
        case RecurrentScan():
            scan = 2 * inner * model.state
        case chunked:
            chunk = min(chunked.chunk, tokens)
            scan = chunk * (2 * heads(model) + model.groups) + 2 * inner + inner * model.state // chunk
    return model.layers * (kept + scan)


def state_values(model: Mamba2, positions: int) -> int:
    """Numbers of the decode state of one sequence: the same however many positions came before."""
    del positions
    return model.layers * (inner_width(model) * model.state + channels(model) * (model.conv - 1))
