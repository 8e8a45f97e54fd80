"""Where parameters lie in the flat groups that DeepSpeed's optimizer cuts into partitions under ZeRO 1 and 2."""

from collections.abc import Sequence

from deepspeed import DeepSpeedEngine, comm
from deepspeed.runtime.zero.stage_1_and_2 import GradPartitionBufferGroup
from torch import Tensor, nn


class FlatGroups:
    """A group is one flat tensor of all its parameters; each rank updates one partition of it."""

    def __init__(self, engine: DeepSpeedEngine, parameters: Sequence[nn.Parameter]) -> None:
        self.optimizer = engine.optimizer
        numbers = {p: i for i, p in enumerate(parameters)}
        self.places: dict[int, tuple[int, int]] = {}
        for group, members in enumerate(self.optimizer.round_robin_bit16_groups):
            offsets = self.optimizer.round_robin_bit16_offsets[group]
            self.places |= {numbers[p]: (group, begin) for p, begin in zip(members, offsets, strict=True)}
        assert len(self.places) == len(parameters), "DeepSpeed's groups do not hold every parameter"
        self.sizes: list[int] = [flat.numel() for flat in self.optimizer.bit16_groups_flat]
        self.numels = [p.numel() for p in parameters]

    def partition(self, group: int) -> slice:
        """Where this rank's partition lies in its group."""
        size: int = self.optimizer.partition_size[group]
        return slice(comm.get_rank() * size, (comm.get_rank() + 1) * size)

    def overlap(self, number: int) -> tuple[int, slice, slice]:
        """The group of a parameter, what this rank updates of it, as a slice of the parameter and of the partition."""
        group, begin = self.places[number]
        own = self.partition(group)
        first = max(begin, own.start)
        last = max(first, min(begin + self.numels[number], own.stop))
        return group, slice(first - begin, last - begin), slice(first - own.start, last - own.start)

    def inside(self, number: int) -> tuple[int, slice]:
        """The group of a parameter, and where in this rank's partition it lies; empty where it does not."""
        group, _, inside = self.overlap(number)
        return group, inside

    def hand_over(self, partitions: list[Tensor]) -> None:
        """Gives DeepSpeed the gradients of this rank's partitions, one flat fp32 tensor for each group."""
        for group, flat in enumerate(partitions):
            self.optimizer.averaged_gradients[group] = GradPartitionBufferGroup([flat], flat)
