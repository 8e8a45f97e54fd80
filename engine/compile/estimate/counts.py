"""How many numbers a model has, by what they are for; how many products a row of tokens costs, by what makes them."""

from dataclasses import dataclass
from typing import assert_never

from engine.models.spec import Dense, FbiLinear, Linear


@dataclass(frozen=True, slots=True)
class Counts:
    """Trained numbers; `total` is what the module holds, `published` what papers on 1-bit models state."""

    embedding: int
    head: int
    """0 where the embedding serves as head."""
    matrices: int
    """Entries of all matrices inside blocks: those that a 1-bit model keeps the signs of."""
    vectors: int
    """Norms, biases, convolutions and whatever else a block has."""
    scales: int
    """alpha and beta of 1-bit matrices."""

    @property
    def published(self) -> int:
        return self.embedding + self.head + self.matrices + self.vectors

    @property
    def total(self) -> int:
        return self.published + self.scales


@dataclass(frozen=True, slots=True)
class Products:
    """Multiply-adds of one forward pass over one row; each is two FLOPs. Elementwise work is left out, save the scan's.

    torch.utils.flop_counter counts the same but for `scan` where the reference scan runs, which multiplies elementwise,
    for `attention` where a fused kernel runs, which it does not know on a CPU, and for the backward pass of
    `convolution`, which it counts as if every channel saw all others.
    """

    matrices: int
    head: int
    attention: int = 0
    convolution: int = 0
    scan: int = 0

    @property
    def total(self) -> int:
        return self.matrices + self.head + self.attention + self.convolution + self.scan


def scale_entries(inputs: int, outputs: int, how: Linear) -> int:
    """Entries of alpha and of beta together for one matrix [outputs, inputs]."""
    match how:
        case Dense():
            return 0
        case FbiLinear():
            return 2 * {"input": inputs, "output": outputs, "tensor": 1}[how.scale]
        case _:
            assert_never(how)
