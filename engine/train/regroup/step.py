"""One step under `regroup`: every micro-batch in its fixed shape, on whatever rank, and the exact sum of gradients.

DeepSpeed holds, gathers and updates the partitions; what it would add up in an order of its own is added here.
"""

import math
from typing import assert_never, final

import torch
from deepspeed import DeepSpeedEngine, comm
from torch import Tensor, nn

from engine.spec.layout import Layout
from engine.train.gradients import Gradients, total_loss
from engine.train.regroup.scale import LEAST, fits, next_exponents, widened
from engine.train.regroup.shared import SharedFlatSums, SharedSums
from engine.train.regroup.sums import Sums
from engine.train.regroup.whole import WholeFlatSums, WholeSums


@final
class Regrouped(Gradients):
    """The gradients of the steps of a run; `exponents` go from step to step, and into checkpoints."""

    def __init__(self, engine: DeepSpeedEngine, slots: int, layout: Layout, exponents: dict[str, int]) -> None:
        self.engine, self.slots, self.layout = engine, slots, layout
        named = dict(engine.module.model.named_parameters())
        self.names = tuple(named)
        self.exponents: tuple[int, ...] = ()
        self.resume(exponents)
        self.sums = sums_of(engine, list(named.values()), slots, layout)
        for hook in engine.optimizer._grad_acc_hooks if layout.zero else ():
            hook.remove()  # DeepSpeed would reduce every gradient as it comes
        for p in named.values():
            p.register_post_accumulate_grad_hook(self.sums.fold)
        engine.set_gradient_accumulation_boundary(True)

    def backward(self, ids_SBT: tuple[Tensor, ...]) -> tuple[list[float], float]:
        while True:
            self.sums.begin(self.exponents)
            losses = self.losses(ids_SBT)
            self.sums.reduce()
            peaks = self.sums.peaks_of_all()
            if not all(math.isfinite(number) for number in (*losses, *peaks)):
                return losses, math.inf
            if fits(self.exponents, peaks):
                break
            self.exponents = widened(self.exponents, peaks)
            self.recomputed += 1
        norm = self.sums.norm()
        self.sums.hand_over()
        self.exponents = next_exponents(self.exponents, peaks)
        return losses, norm

    def losses(self, ids_SBT: tuple[Tensor, ...]) -> list[float]:
        """Folds the gradient of every slot of this rank; gives the losses of all ranks in the order of the slots."""
        rank, world = comm.get_rank(), comm.get_world_size()
        own = range(self.slots * rank // world, self.slots * (rank + 1) // world)
        found = torch.zeros(self.slots, dtype=torch.float64)
        for slot in own:
            found[slot] = self.one(ids_SBT[slot])
        self.sums.idle = True
        for _ in range(self.idle_passes(len(own), world)):
            self.one(ids_SBT[0])
        self.sums.idle = False
        comm.all_reduce(found)  # of each slot one rank has the loss, and all others zero
        return found.tolist()

    def idle_passes(self, own: int, world: int) -> int:
        """Passes that only keep up with ranks that have more slots: where every pass gathers or reduces."""
        return -(-self.slots // world) - own if self.layout.zero >= 2 else 0

    def one(self, ids_BT: Tensor) -> float:
        """The loss of a slot, whose gradients are folded into the sums on the way back."""
        loss = total_loss(self.engine.module(ids_BT))
        loss.backward()  # type: ignore[no-untyped-call]
        if self.layout.zero == 3:
            self.engine.optimizer.backward_epilogue()
        return loss.item()

    def resume(self, state: dict[str, int]) -> None:
        self.exponents = tuple(state.get(name, LEAST) for name in self.names)

    def state(self) -> dict[str, int]:
        """The exponents by the names of the parameters, for a checkpoint."""
        return dict(zip(self.names, self.exponents, strict=True))


def sums_of(engine: DeepSpeedEngine, parameters: list[nn.Parameter], slots: int, layout: Layout) -> Sums:
    """The sums that a ZeRO stage keeps."""
    bucket = layout.bucket_elements
    match layout.zero:
        case 0:
            return WholeSums(parameters, slots, bucket)
        case 1:
            return WholeFlatSums(parameters, slots, bucket, engine)
        case 2:
            return SharedFlatSums(parameters, slots, bucket, engine)
        case 3:
            return SharedSums(parameters, slots, bucket, engine)
        case _:
            assert_never(layout.zero)
