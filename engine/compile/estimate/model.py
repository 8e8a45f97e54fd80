"""What a model costs, whatever its family: numbers, products of a row, what a position keeps, the decode state."""

from typing import assert_never

from engine.compile.estimate import alibi_gpt, llama, mamba2
from engine.compile.estimate.counts import Counts, Products
from engine.kernels.spec import Kernels
from engine.models.spec import AlibiGpt, Llama, Mamba2, Model

BACKWARD = 2  # products of the backward pass for each of the forward pass: the input's gradient and the weight's


def counts(model: Model) -> Counts:
    """Every trained number by what it is for."""
    match model:
        case Llama():
            return llama.counts(model)
        case AlibiGpt():
            return alibi_gpt.counts(model)
        case Mamba2():
            return mamba2.counts(model)
        case _:
            assert_never(model)


def parameters(model: Model) -> int:
    """Every trained number, exactly; alpha and beta of 1-bit matrices are among them."""
    return counts(model).total


def products(model: Model, tokens: int, kernels: Kernels) -> Products:
    """Multiply-adds of the forward pass over one row of `tokens` positions."""
    match model:
        case Llama():
            return llama.products(model, tokens, kernels)
        case AlibiGpt():
            return alibi_gpt.products(model, tokens, kernels)
        case Mamba2():
            return mamba2.products(model, tokens, kernels)
        case _:
            assert_never(model)


def forward_flops_per_row(model: Model, tokens: int, kernels: Kernels) -> int:
    """Multiplications and additions, counted one each."""
    return 2 * products(model, tokens, kernels).total


def train_flops_per_row(model: Model, row_tokens: int, kernels: Kernels) -> int:
    """Forward and backward over a row; its last token is a target alone. What a fused kernel computes twice is not."""
    return (1 + BACKWARD) * forward_flops_per_row(model, row_tokens - 1, kernels)


def kept_values(model: Model, tokens: int, kernels: Kernels) -> int:
    """Numbers that one position leaves behind for the backward pass, the loss left out; about, not exactly."""
    blocks = _block_values(model, tokens, kernels)
    return blocks + 3 * model.width  # the last norm


def _block_values(model: Model, tokens: int, kernels: Kernels) -> int:
    match model:
        case Llama():
            return llama.kept_values(model, tokens, kernels)
        case AlibiGpt():
            return alibi_gpt.kept_values(model, tokens, kernels)
        case Mamba2():
            return mamba2.kept_values(model, tokens, kernels)
        case _:
            assert_never(model)


def state_values(model: Model, positions: int) -> int:
    """Numbers of the decode state of one sequence of `positions` tokens."""
    match model:
        case Llama():
            return llama.state_values(model, positions)
        case AlibiGpt():
            return alibi_gpt.state_values(model, positions)
        case Mamba2():
            return mamba2.state_values(model, positions)
        case _:
            assert_never(model)
