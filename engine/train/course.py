"""Where a run stands: its step, the order of its data, its rate, and the spikes that have changed any of them.

Everything follows from the spec and from the losses so far, and goes into checkpoints. No torch.
"""

from pathlib import Path
from typing import final

from engine.train.checkpoint import State
from engine.train.data import Ids, Rows
from engine.train.schedule import learning_rate
from engine.train.spec import TrainPlan
from engine.train.spikes import Watch, clip_norm, deferred_chunks, rate_factor, see, treated


@final
class Course:
    """The steps after a state."""

    def __init__(self, stage: TrainPlan, rows: Path, begin: State) -> None:
        self.stage, self.step, self.events = stage, begin.step, begin.events
        self.watch = begin.watch or Watch()
        self.rows = Rows(rows, stage, deferred_chunks(begin.events))

    def next(self) -> tuple[int, Ids]:
        """The number and the batch of the next step."""
        self.step += 1
        return self.step, self.rows.batch(self.step)

    def rate(self) -> float:
        """The learning rate of this step."""
        rate = learning_rate(self.stage.optimizer.lr, self.step, self.stage.horizon_steps or self.stage.steps)
        return rate * rate_factor(self.stage.spikes, self.events, self.step)

    def clip(self) -> float:
        """The largest gradient norm of this step."""
        return clip_norm(self.stage.spikes, self.events, self.step, self.stage.optimizer.clip)

    def see(self, loss: float) -> bool:
        """Takes note of the loss of this step; whether the last event now has a remedy that takes the run back."""
        rule = self.stage.spikes
        if rule is None:
            return False
        self.watch, event = see(rule, self.watch, self.step, loss)
        if event is None:
            return False
        chunk, chunk_begin = self.rows.chunk_of(event.begun)
        event = treated(rule, event, self.events, self.stage.there_at(self.step), chunk, chunk_begin)
        if event.remedy == "none":
            self.events = (*self.events, event)
            return False
        standing = (e for e in self.events if e.remedy != "none" or e.ended <= event.back_to)
        self.events = (*standing, event)
        return True

    def state(self, exponents: dict[str, int], begin: State) -> State:
        """The state after this step, of a run that began in another; its parent is not known yet."""
        watched = self.stage.spikes is not None
        return State(
            step=self.step,
            position=self.step * self.stage.batch.rows,
            parent="",
            generators=begin.generators,
            exponents=exponents,
            watch=self.watch if watched else None,
            events=self.events,
        )
