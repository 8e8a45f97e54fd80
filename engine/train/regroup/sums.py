"""Exact sums of gradients over the micro-batches of a step, wherever ZeRO keeps gradients; two buckets of memory more.

Each parameter's gradient is folded into 32-bit whole numbers as soon as the backward pass has made it, and then freed:
the sums take the place of the gradients, byte for byte. Every function is collective: all ranks call it, in one order.
"""

# W ranks; a share is what one rank updates of a tensor

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from deepspeed import comm
from torch import Tensor, nn

from engine.train.regroup.scale import shift

HALF_BITS = 15  # sums are split into halves whose products fp64 adds exactly
DOT_ELEMENTS = 2**20  # 2^20 products below 2^33 stay below 2^53


class Sums(ABC):
    """The sums of the parameters of a model, each in a scale of its own; all ranks together add `slots` in a step."""

    def __init__(self, parameters: Sequence[nn.Parameter], slots: int, bucket_elements: int) -> None:
        self.parameters, self.slots = parameters, slots
        self.numbers = {p: i for i, p in enumerate(parameters)}
        device = parameters[0].device
        self.rounded = torch.empty(bucket_elements, dtype=torch.float32, device=device)
        self.whole = torch.empty(bucket_elements, dtype=torch.int32, device=device)
        self.extremes: list[list[Tensor]] = []
        self.shifts: tuple[int, ...] = ()
        self.idle = False

    def begin(self, exponents: Sequence[int]) -> None:
        """Empties the sums; entries must lie below 2^exponent of their tensor."""
        self.shifts = tuple(shift(exponent, self.slots) for exponent in exponents)
        self.extremes = [[] for _ in self.parameters]
        self.clear()

    def fold(self, p: nn.Parameter) -> None:
        """Adds the gradient of a parameter, and frees it; an idle rank adds nothing, but takes part."""
        gradient, number = p.grad, self.numbers[p]
        assert gradient is not None
        p.grad = None
        flat = gradient.detach().reshape(-1)
        if not self.idle:
            self.extremes[number] += torch.aminmax(flat)
        self.add(number, flat)

    def quantised(self, number: int, values: Tensor) -> Tensor:
        """Values of a parameter, at most a bucket of them, as whole numbers in the parameter's scale."""
        if self.idle:
            return self.whole[: values.numel()].zero_()
        rounded = torch.mul(values, 2.0 ** self.shifts[number], out=self.rounded[: values.numel()]).round_()
        return self.whole[: values.numel()].copy_(rounded)

    def peaks_of_all(self) -> tuple[float, ...]:
        """The largest magnitude in any slot of each parameter; infinite where a slot is not finite."""
        seen = [torch.stack(found).abs().max() if found else self.rounded.new_zeros(()) for found in self.extremes]
        peaks = torch.stack(seen).to(torch.float32)
        peaks = torch.nan_to_num(peaks, nan=math.inf, posinf=math.inf)  # gloo's maximum passes over a NaN
        comm.all_reduce(peaks, op=comm.ReduceOp.MAX)
        return tuple(peaks.tolist())

    def norm(self) -> float:
        """The L2 norm of the mean over the slots, exact but for its last rounding; after `reduce`."""
        halves = torch.zeros(len(self.parameters), 3, dtype=torch.int64)
        for number in range(len(self.parameters)):
            for part in self.counted(number):
                halves[number] += _squares(part)
        comm.all_reduce(halves)
        most = max(self.shifts)
        total = 0
        for places, (high, mixed, low) in zip(self.shifts, halves.tolist(), strict=True):
            squares = (high << 2 * HALF_BITS) + (mixed << HALF_BITS + 1) + low
            total += squares << 2 * (most - places)
        return math.ldexp(math.sqrt(total), -most) / self.slots

    def mean(self, number: int, part: Tensor) -> Tensor:
        """A part of the sums of a parameter as the mean gradient, in place: the same bytes, as fp32."""
        found = part.view(torch.float32)
        for begin in range(0, part.numel(), len(self.rounded)):
            piece = part[begin : begin + len(self.rounded)]
            made = self.rounded[: piece.numel()].copy_(piece).mul_(2.0 ** -self.shifts[number]).div_(self.slots)
            found[begin : begin + len(self.rounded)].copy_(made)
        return found

    @abstractmethod
    def clear(self) -> None:
        """Sets all sums to zero."""

    @abstractmethod
    def add(self, number: int, values: Tensor) -> None:
        """Adds the values of a whole parameter to the sums."""

    @abstractmethod
    def reduce(self) -> None:
        """Adds up what the ranks have; afterwards each holds the whole sums of its share."""

    @abstractmethod
    def counted(self, number: int) -> Sequence[Tensor]:
        """The parts of a parameter's sums that this rank counts for the norm: each entry is counted by one rank."""

    @abstractmethod
    def hand_over(self) -> None:
        """Gives the mean gradients to DeepSpeed, for its next step."""


def _squares(part: Tensor) -> Tensor:
    """The sums of high * high, high * low and low * low over entries high * 2^15 + low: exact in any order."""
    total = torch.zeros(3, dtype=torch.int64)
    for piece in pieces(part, DOT_ELEMENTS):
        high = (piece >> HALF_BITS).to(torch.float64)
        low = (piece & (1 << HALF_BITS) - 1).to(torch.float64)
        total += torch.stack([high.dot(high), high.dot(low), low.dot(low)]).to(torch.int64).cpu()
    return total


def pieces(flat: Tensor, most: int) -> tuple[Tensor, ...]:
    """A flat tensor cut into views of at most so many elements."""
    return torch.split(flat, most)


def share(total: int) -> slice:
    """This rank's share of so many elements, cut into equal parts."""
    rank, world = comm.get_rank(), comm.get_world_size()
    return slice(total * rank // world, total * (rank + 1) // world)
