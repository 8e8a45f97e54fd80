"""Checkpoints of a run as it goes: gathered from all ranks, written by rank 0 beside the training, kept or let go."""

from dataclasses import dataclass, field
from typing import final

from deepspeed import DeepSpeedEngine, comm

from engine.artifacts.draft import Draft
from engine.train import checkpoint, partition
from engine.train.checkpoint import Checkpoint, State, output_name
from engine.train.gradients import Gradients
from engine.train.optimizer import StepOptimizer
from engine.train.spec import TrainPlan
from engine.train.spikes import Event
from engine.train.steplog import ABANDONED, StepLog
from engine.train.writer import Writer


@final
@dataclass
class Keeper:
    """Collective: all ranks call it, in the same order."""

    stage: TrainPlan
    out: Draft
    log: StepLog
    engine: DeepSpeedEngine
    optimizer: StepOptimizer
    parent: str
    """Digest of the checkpoint that the run goes on from, where it does not lie in the draft."""
    writer: Writer = field(default_factory=Writer)

    @property
    def steps(self) -> frozenset[int]:
        """Steps at which a checkpoint is written."""
        return frozenset(self.stage.saved_steps())

    def save(self, state: State) -> None:
        """Takes a copy of the whole state; rank 0 writes it while training goes on."""
        weights = partition.full_weights(self.engine)
        moments = partition.full_moments(self.engine, self.optimizer)
        if comm.get_rank() == 0:
            whole = Checkpoint(copied(weights), {kind: copied(found) for kind, found in moments.items()}, state)
            self.log.sync()
            self.writer.submit(lambda: self.write(whole))

    def write(self, whole: Checkpoint) -> None:
        """Writes a checkpoint that names the one kept before it, then lets go of those that are not kept."""
        step = whole.state.step
        before = [kept for kept in self.stage.kept_steps() if kept < step]
        outputs = self.out.outputs()
        written = outputs.get(output_name(before[-1])) if before else None
        parent = written.digest if written else whole.state.parent or self.parent
        checkpoint.write(self.out, Checkpoint(whole.weights, whole.moments, whole.state.replace(parent=parent)))
        self.let_go(step)

    def let_go(self, step: int) -> None:
        """Removes the checkpoints that are not there any more after a step."""
        there = {output_name(kept) for kept in self.stage.there_at(step)}
        for output in self.out.closed():
            if output not in there:
                self.out.discard(output)

    def take_back(self, events: tuple[Event, ...], gradients: Gradients) -> State:
        """The state that the last event goes back to, which the ranks hold again; it descends from all the events."""
        step = events[-1].back_to
        if comm.get_rank() == 0:
            self.writer.wait()
            number = sum(1 for event in events if event.remedy != "none")
            self.log.take_back(step, self.out.folder / ABANDONED.format(number))
            for kept in self.stage.saved_steps():
                if kept > step:
                    self.out.discard(output_name(kept))
        comm.barrier()
        at = checkpoint.read(self.out.folder / output_name(step), self.stage.optimizer)
        partition.load_weights(self.engine, at.weights)
        partition.load_moments(self.engine, self.optimizer, at.moments)
        gradients.resume(at.state.exponents)
        return at.state.replace(events=events)

    def close(self) -> None:
        """Returns when everything is written."""
        self.writer.close()


def copied(tensors: checkpoint.Tensors) -> checkpoint.Tensors:
    """Tensors that later updates do not change."""
    return {name: tensor.copy() for name, tensor in tensors.items()}
