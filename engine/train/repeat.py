"""Gradients under `repeat`: DeepSpeed's own, in the order of adding that its layout gives."""

from typing import final

import torch
from deepspeed import DeepSpeedEngine, comm
from torch import Tensor

from engine.train import partition
from engine.train.gradients import Gradients, total_loss


@final
class Repeated(Gradients):
    """Each rank takes an equal part of the micro-batches, in order."""

    def __init__(self, engine: DeepSpeedEngine) -> None:
        self.engine = engine

    def backward(self, ids_SBT: tuple[Tensor, ...]) -> tuple[list[float], float]:
        own = len(ids_SBT) // comm.get_world_size()
        losses = []
        for i, micro_BT in enumerate(ids_SBT[comm.get_rank() * own :][:own]):
            if i > 0:
                self.engine.step()  # which only counts, before the last micro-batch
            loss = total_loss(self.engine(micro_BT))
            losses.append(loss.item())
            self.engine.backward(loss)
        return losses_of_all(losses), partition.gradient_norm(self.engine)

    def state(self) -> dict[str, int]:
        return {}


def losses_of_all(losses: list[float]) -> list[float]:
    """The losses of all ranks, in the order of the batch."""
    own = torch.tensor(losses, dtype=torch.float64)
    gathered = [torch.empty_like(own) for _ in range(comm.get_world_size())]
    comm.all_gather(gathered, own)
    return [loss for part in gathered for loss in part.tolist()]
