"""Closed forms of the Mamba-2 family."""

# E inner width, C channels of the convolution, H heads, P head width, G groups, N state, Q positions of a chunk

from engine.compile.estimate.counts import Counts, Products, scale_entries
from engine.kernels.spec import ChunkedScan, Kernels, RecurrentScan
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

    The norm's input, normalized input and result (3 widths); z, x, B, C, dt as projected; the convolution's input and
    result; dt before and after softplus; y, the gate's activation, gated y and its norm (4 inner widths).
    """
    inner, found = inner_width(model), 3 * model.width + matrices(model)[0][1] + 2 * channels(model)
    block = found + 2 * heads(model) + 4 * inner + _scan_values(model, tokens, kernels)
    return model.layers * block


def _scan_values(model: Mamba2, tokens: int, kernels: Kernels) -> int:
    """What the scan keeps of a position: the recurrence its state, the others a state for each chunk."""
    inner, shared = inner_width(model), model.groups * model.state
    match kernels.ssd_scan:
        case RecurrentScan():
            return inner * model.state + 2 * heads(model) * model.state + inner
        case ChunkedScan(chunk=chunk):
            positions = min(chunk, tokens)  # decays and their product with the scores, copies of x, B and C
            square = positions * (2 * heads(model) + model.groups)
            return square + 4 * shared + 5 * inner + inner * model.state // positions
        case fused:
            return 2 * shared + 2 * inner + inner * model.state // min(fused.chunk, tokens)


def state_values(model: Mamba2, positions: int) -> int:
    """Numbers of the decode state of one sequence: the same however many positions came before."""
    del positions
    return model.layers * (inner_width(model) * model.state + channels(model) * (model.conv - 1))
