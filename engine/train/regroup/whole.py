"""Sums that every rank keeps whole and adds up once a step: ZeRO 0, which shares nothing, and ZeRO 1."""

from collections.abc import Sequence
from itertools import accumulate

import torch
from deepspeed import DeepSpeedEngine, comm
from torch import Tensor, nn

from engine.train.regroup.flat import FlatGroups
from engine.train.regroup.sums import Sums, pieces, share


class WholeSums(Sums):
    """ZeRO 0: one flat buffer, from which every parameter takes its gradient."""

    def __init__(self, parameters: Sequence[nn.Parameter], slots: int, bucket_elements: int) -> None:
        super().__init__(parameters, slots, bucket_elements)
        ends = list(accumulate(p.numel() for p in parameters))
        self.slices = [slice(end - p.numel(), end) for end, p in zip(ends, parameters, strict=True)]
        self.flat = torch.zeros(ends[-1], dtype=torch.int32, device=self.whole.device)

    def clear(self) -> None:
        self.flat.zero_()

    def add(self, number: int, values: Tensor) -> None:
        own = self.flat[self.slices[number]]
        for into, piece in zip(pieces(own, len(self.whole)), pieces(values, len(self.whole)), strict=True):
            into += self.quantised(number, piece)

    def reduce(self) -> None:
        for piece in pieces(self.flat, len(self.whole)):
            comm.all_reduce(piece)

    def counted(self, number: int) -> Sequence[Tensor]:
        own = self.flat[self.slices[number]]
        return [own[share(own.numel())]]

    def hand_over(self) -> None:
        for number, p in enumerate(self.parameters):
            p.grad = self.mean(number, self.flat[self.slices[number]]).view_as(p)


class WholeFlatSums(Sums):
    """ZeRO 1: the flat groups of DeepSpeed's optimizer; after the reduction a rank looks at its partition alone."""

    def __init__(
        self, parameters: Sequence[nn.Parameter], slots: int, bucket_elements: int, engine: DeepSpeedEngine
    ) -> None:
        super().__init__(parameters, slots, bucket_elements)
        self.groups = FlatGroups(engine, parameters)
        sizes = self.groups.sizes
        self.flats = [torch.zeros(size, dtype=torch.int32, device=self.whole.device) for size in sizes]

    def clear(self) -> None:
        for flat in self.flats:
            flat.zero_()

    def add(self, number: int, values: Tensor) -> None:
        group, begin = self.groups.places[number]
        own = self.flats[group][begin : begin + values.numel()]
        for into, piece in zip(pieces(own, len(self.whole)), pieces(values, len(self.whole)), strict=True):
            into += self.quantised(number, piece)

    def reduce(self) -> None:
        for flat in self.flats:
            for piece in pieces(flat, len(self.whole)):
                comm.all_reduce(piece)

    def partition(self, group: int) -> Tensor:
        """This rank's partition of a group's sums."""
        return self.flats[group][self.groups.partition(group)]

    def counted(self, number: int) -> Sequence[Tensor]:
        group, inside = self.groups.inside(number)
        return [self.partition(group)[inside]]

    def hand_over(self) -> None:
        for number in range(len(self.parameters)):
            group, inside = self.groups.inside(number)
            self.mean(number, self.partition(group)[inside])
        self.groups.hand_over([self.partition(group).view(torch.float32) for group in range(len(self.flats))])
