"""Sums of which every rank keeps its share alone, added up bucket by bucket in every backward pass: ZeRO 2 and 3."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from deepspeed import DeepSpeedEngine, comm
from torch import Tensor, nn
from torch.distributed import reduce_scatter_tensor

from engine.train.regroup.flat import FlatGroups
from engine.train.regroup.sums import Sums


@dataclass(frozen=True, slots=True)
class Waiting:
    """Quantised values of a parameter, from one of its elements on, that wait in the bucket."""

    number: int
    first: int
    begin: int  # in the bucket
    count: int


class SharedFlatSums(Sums):
    """ZeRO 2: this rank's partitions of DeepSpeed's flat groups."""

    def __init__(
        self, parameters: Sequence[nn.Parameter], slots: int, bucket_elements: int, engine: DeepSpeedEngine
    ) -> None:
        super().__init__(parameters, slots, bucket_elements)
        self.groups = FlatGroups(engine, parameters)
        sizes = engine.optimizer.partition_size
        self.own = [torch.zeros(size, dtype=torch.int32, device=self.whole.device) for size in sizes]
        self.bucket, self.whole = self.whole, torch.empty(0, dtype=torch.int32)
        self.waiting: list[Waiting] = []
        self.filled = 0

    def clear(self) -> None:
        self.waiting, self.filled = [], 0
        for own in self.own:
            own.zero_()

    def add(self, number: int, values: Tensor) -> None:
        first = 0
        while first < values.numel():
            if self.filled == len(self.bucket):
                self.flush()
            count = min(values.numel() - first, len(self.bucket) - self.filled)
            self.whole = self.bucket[self.filled : self.filled + count]
            self.quantised(number, values[first : first + count])
            self.waiting.append(Waiting(number, first, self.filled, count))
            first, self.filled = first + count, self.filled + count

    def flush(self) -> None:
        """Adds up the bucket over the ranks, and what falls into this rank's partitions to its sums."""
        comm.all_reduce(self.bucket[: self.filled])
        for piece in self.waiting:
            group, of_parameter, inside = self.groups.overlap(piece.number)
            first = max(piece.first, of_parameter.start)
            last = min(piece.first + piece.count, of_parameter.stop)
            if first < last:
                into = inside.start + first - of_parameter.start
                begin = piece.begin + first - piece.first
                self.own[group][into : into + last - first] += self.bucket[begin : begin + last - first]
        self.waiting, self.filled = [], 0

    def reduce(self) -> None:
        if self.filled:
            self.flush()

    def counted(self, number: int) -> Sequence[Tensor]:
        group, inside = self.groups.inside(number)
        return [self.own[group][inside]]

    def hand_over(self) -> None:
        for number in range(len(self.parameters)):
            group, inside = self.groups.inside(number)
            self.mean(number, self.own[group][inside])
        self.groups.hand_over([own.view(torch.float32) for own in self.own])


class SharedSums(Sums):
    """ZeRO 3: this rank's share of each parameter, in the memory that DeepSpeed keeps for its gradient."""

    def __init__(
        self, parameters: Sequence[nn.Parameter], slots: int, bucket_elements: int, engine: DeepSpeedEngine
    ) -> None:
        super().__init__(parameters, slots, bucket_elements)
        self.optimizer = engine.optimizer
        kept = self.optimizer._DeepSpeedZeroOptimizer_Stage3__param_id_to_grad_partition
        self.own: list[Tensor] = [kept[vars(p)["ds_id"]].view(torch.int32) for p in parameters]
        self.world = comm.get_world_size()
        self.columns = bucket_elements // self.world
        self.bucket_WC = self.whole[: self.columns * self.world].view(self.world, self.columns)
        self.waiting: list[Waiting] = []
        self.filled = 0

    def clear(self) -> None:
        self.waiting, self.filled = [], 0
        for own in self.own:
            own.zero_()

    def add(self, number: int, values: Tensor) -> None:
        first, size = 0, self.own[number].numel()
        while first < size:
            if self.filled == self.columns:
                self.flush()
            count = min(size - first, self.columns - self.filled)
            for rank in range(self.world):
                begin = rank * size + first
                self.whole = self.bucket_WC[rank, self.filled : self.filled + count]
                piece = values[begin : begin + count]
                self.quantised(number, piece)
                self.whole[piece.numel() :].zero_()
            self.waiting.append(Waiting(number, first, self.filled, count))
            first, self.filled = first + count, self.filled + count

    def flush(self) -> None:
        """Adds up each column of the bucket over the ranks, and this rank's row to its sums."""
        free, filled = self.rounded.view(torch.int32), self.filled
        if (self.world + 1) * filled <= len(free):  # the last bucket of a step: what is empty is not sent
            sent = free[filled : filled * (self.world + 1)]
            sent.view(self.world, filled).copy_(self.bucket_WC[:, :filled])
            row = free[:filled]
        else:
            sent, row = self.bucket_WC.view(-1), free[: self.columns]
        reduce_scatter_tensor(row, sent)
        for piece in self.waiting:
            self.own[piece.number][piece.first : piece.first + piece.count] += row[piece.begin :][: piece.count]
        self.waiting, self.filled = [], 0

    def reduce(self) -> None:
        if self.filled:
            self.flush()

    def counted(self, number: int) -> Sequence[Tensor]:
        return [self.own[number]]  # what pads the last share is zero

    def hand_over(self) -> None:
        means = {p: self.mean(number, self.own[number]) for number, p in enumerate(self.parameters)}
        for group, members in enumerate(self.optimizer.fp16_groups):
            self.optimizer.averaged_gradients[group] = [means[p] for p in members]
