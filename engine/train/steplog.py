"""The log of a run: one JSON line a step, written as it goes, cut back to a checkpoint when a run goes on."""

import os
from pathlib import Path

from pydantic import JsonValue, ValidationError

from engine.artifacts.disk import write_whole
from engine.spec.base import Spec
from engine.spec.canonical import canonical
from engine.spec.errors import ArtifactError
from engine.spec.units import Count

ABANDONED = ".abandoned-{}.jsonl"  # steps that a remedy took back, by its number
LOG = ".steps.jsonl"  # in the draft, beside its outputs; a copy becomes the output `log`


class Step(Spec):
    """What happened at one step. The hex fields hold the same number, exactly."""

    step: Count
    loss: float
    """Mean over the micro-batches, in nats a token."""
    loss_hex: str
    grad_norm: float
    """Before clipping."""
    grad_norm_hex: str
    lr: float
    rows_seen: Count
    batch: str


class StepLog:
    """The log, open for the steps to come."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG
        self._file = self._path.open("ab", buffering=0)

    def write(self, step: Step) -> None:
        """Appends a whole line at once, so that a reader never sees half of one but at a crash."""
        self._file.write(canonical(step) + b"\n")

    def sync(self) -> None:
        """Makes the lines so far durable; called before a checkpoint closes."""
        os.fsync(self._file.fileno())

    def take_back(self, step: int, into: Path) -> None:
        """Moves the lines after a step to another file, which is whole before they go."""
        found = read_steps(self._path, None)
        write_whole(into, lines(tuple(line for line in found if line.step > step)).decode("ascii"))
        self._file.close()
        write_whole(self._path, lines(tuple(line for line in found if line.step <= step)).decode("ascii"))
        self._file = self._path.open("ab", buffering=0)

    def close(self) -> None:
        self._file.close()


def read_steps(path: Path, first: int | None) -> tuple[Step, ...]:
    """The steps of a log in order from step `first` on, up to the first line that is torn or out of order.

    Without a `first` the log may begin with any step.
    """
    steps: list[Step] = []
    for line in path.read_bytes().splitlines(keepends=True) if path.is_file() else ():
        try:
            step = Step.model_validate_json(line)
        except ValidationError:
            break
        first = step.step if first is None else first
        if step.step != first + len(steps) or not line.endswith(b"\n"):
            break
        steps.append(step)
    return tuple(steps)


def lines(steps: tuple[Step, ...]) -> bytes:
    """The text of a log."""
    return b"".join(canonical(step) + b"\n" for step in steps)


def metrics(steps: tuple[Step, ...], tokens_per_step: int) -> dict[str, JsonValue]:
    """What a run reports of itself: all of it follows from the log."""
    if not steps:
        raise ArtifactError("a training run has logged no step; run the stage again")
    last = steps[-20:]
    return {
        "first_loss": steps[0].loss,
        "final_loss": steps[-1].loss,
        "last_20_loss": sum(step.loss for step in last) / len(last),
        "steps": len(steps),
        "tokens": len(steps) * tokens_per_step,
    }
