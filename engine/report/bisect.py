"""Where two training runs part: the first step whose record differs, then the first tensor of the next checkpoint.

Nothing is computed again: the logs hold every loss and norm exactly, the manifests a digest of every tensor.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from engine.artifacts.manifest import MANIFEST, Manifest, TensorsPart, read_manifest
from engine.spec.errors import SpecError
from engine.train.steplog import Step, read_steps

CAUSES = {
    "batch": "other rows were read: the data, its order, or a chunk that one of them deferred",
    "lr": "another learning rate: the schedule, or a remedy",
    "loss_hex": "another loss on the same batch: the weights before this step, or the arithmetic of the forward pass",
    "grad_norm_hex": "the same loss but another gradient norm: the backward pass, or the sum over micro-batches",
}
"""Fields of a step in the order in which they come about, and what a difference in each means."""


@final
@dataclass(frozen=True, slots=True)
class Side:
    """A finished training run: its folder and what its manifest says."""

    name: str
    folder: Path
    manifest: Manifest

    def steps(self) -> dict[int, Step]:
        """The record of every step."""
        return {step.step: step for step in read_steps(self.folder / "log" / "steps.jsonl", None)}

    def checkpoints(self) -> tuple[int, ...]:
        """The steps that it has checkpoints of, in order."""
        names = (name.removeprefix("step-") for name in self.manifest.outputs if name.startswith("step-"))
        return tuple(sorted(int(name) for name in names))

    def tensors(self, step: int) -> dict[str, str]:
        """The digest of every tensor of a checkpoint, weights first, by its name with that of its part."""
        parts = self.manifest.outputs[f"step-{step}"].parts
        return {
            f"{part}/{name}": tensor.digest
            for part, held in sorted(parts.items())
            if isinstance(held, TensorsPart)
            for name, tensor in held.tensors.items()
        }


@final
@dataclass(frozen=True, slots=True)
class Parting:
    """What was compared and where it first differs; 0 and empty where it does not."""

    steps: int
    """Steps that both have logged."""
    checkpoints: tuple[int, ...]
    """Steps that both have checkpoints of."""
    step: int
    field: str
    values: tuple[str, str]
    last_equal: int
    """The last common checkpoint before any difference; -1 where there is none."""
    checkpoint: int
    """The first common checkpoint that differs."""
    tensors: tuple[str, ...]
    """The tensors of it that differ."""

    @property
    def equal(self) -> bool:
        return not self.step and not self.checkpoint

    def data(self) -> dict[str, Any]:
        return {
            "equal": self.equal,
            "steps": self.steps,
            "checkpoints": list(self.checkpoints),
            "step": self.step or None,
            "field": self.field or None,
            "values": list(self.values) if self.field else None,
            "last_equal_checkpoint": None if self.last_equal < 0 else self.last_equal,
            "checkpoint": self.checkpoint if self.tensors else None,
            "tensors": list(self.tensors),
        }


def side(name: str, folder: Path) -> Side:
    """A finished training run in a folder. SpecError when it is none."""
    manifest = read_manifest(folder / MANIFEST)
    if manifest.stage["kind"] != "train":
        raise SpecError(f"{name} is a run of {manifest.stage['kind']}, not of training; only those have steps")
    return Side(name, folder, manifest)


def bisect(a: Side, b: Side) -> Parting:
    """Compares two runs step by step and checkpoint by checkpoint. SpecError when they have none in common."""
    left, right = a.steps(), b.steps()
    common = sorted(left.keys() & right.keys())
    checkpoints = tuple(step for step in a.checkpoints() if step in b.checkpoints())
    if not common and not checkpoints:
        raise SpecError(f"{a.name} and {b.name} have no step in common")
    step, field, values = _first_step(left, right, common)
    last_equal, differing = -1, 0
    names: tuple[str, ...] = ()
    for at in checkpoints:
        names = _differing(a.tensors(at), b.tensors(at))
        if names:
            differing = at
            break
        last_equal = at
    return Parting(len(common), checkpoints, step, field, values, last_equal, differing, names)


def _first_step(
    left: Mapping[int, Step], right: Mapping[int, Step], common: Iterable[int]
) -> tuple[int, str, tuple[str, str]]:
    for step in common:
        for field in CAUSES:
            pair = str(left[step].__dict__[field]), str(right[step].__dict__[field])
            if pair[0] != pair[1]:
                return step, field, pair
    return 0, "", ("", "")


def _differing(left: Mapping[str, str], right: Mapping[str, str]) -> tuple[str, ...]:
    names = [*left, *(name for name in right if name not in left)]
    return tuple(name for name in names if left.get(name) != right.get(name))
