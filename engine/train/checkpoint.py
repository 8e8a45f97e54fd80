"""Checkpoints: whole fp32 tensors by parameter name, in one layout for every world size and ZeRO stage."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, assert_never

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from engine.artifacts.draft import Draft
from engine.artifacts.read import read_tensors
from engine.models.init import initial_weights
from engine.spec.base import NEUTRAL, Spec
from engine.spec.errors import ArtifactError
from engine.spec.units import Index, Seed
from engine.train.spec import AdamW, FromWeights, Optimizer, TrainPlan
from engine.train.spikes import Event, Watch

Tensors = dict[str, npt.NDArray[np.float32]]


class State(Spec):
    """What a run needs besides tensors to go on."""

    step: Index
    position: Index
    """Rows consumed: where the next batch begins in the training order."""
    parent: str
    """Digest of the checkpoint output before this one; empty at the start."""
    generators: dict[str, Seed]
    """Seeds of the named generators that the run has drawn from."""
    exponents: dict[str, int] = Field(default={}, json_schema_extra={NEUTRAL: {}})
    """Under `regroup`, the power of two below which each parameter's gradients are expected at the next step."""
    watch: Watch | None = Field(default=None, json_schema_extra={NEUTRAL: None})
    events: tuple[Event, ...] = Field(default=(), json_schema_extra={NEUTRAL: ()})  # type: ignore[dict-item]
    """Spikes so far, and the remedies that this state descends from."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A run at one step."""

    weights: Tensors
    moments: dict[str, Tensors]  # by kind, then by parameter
    state: State


def output_name(step: int) -> str:
    """The output that holds the checkpoint of a step."""
    return f"step-{step}"


def moment_names(optimizer: Optimizer) -> tuple[str, ...]:
    """The kinds of moments that an optimizer keeps of every parameter."""
    match optimizer:
        case AdamW():
            return ("exp_avg", "exp_avg_sq")
        case _:
            assert_never(optimizer)


def initial(stage: TrainPlan) -> Checkpoint:
    """The run before its first step: drawn weights and zero moments."""
    weights = initial_weights(stage.model, stage.seed)
    moments = {name: {p: np.zeros_like(w) for p, w in weights.items()} for name in moment_names(stage.optimizer)}
    return Checkpoint(weights, moments, State(step=0, position=0, parent="", generators={"model/init": stage.seed}))


def write(out: Draft, checkpoint: Checkpoint) -> None:
    """Writes and closes the output of a checkpoint; when it returns, the checkpoint is durable."""
    output = output_name(checkpoint.state.step)
    out.tensors(output, "model", checkpoint.weights)
    flat = {f"{kind}.{name}": t for kind, tensors in checkpoint.moments.items() for name, t in tensors.items()}
    out.tensors(output, "optimizer", flat)
    out.json(output, "state.json", checkpoint.state)
    out.close(output)


def read(folder: Path, optimizer: Optimizer) -> Checkpoint:
    """A checkpoint from the folder of its output; ArtifactError when it is damaged."""
    flat = read_tensors(folder, "optimizer")
    moments: dict[str, Tensors] = {kind: {} for kind in moment_names(optimizer)}
    for full, tensor in flat.items():
        kind, _, name = full.partition(".")
        if kind not in moments:
            raise ArtifactError(f"{folder} holds a tensor {full!r} that {optimizer.kind} does not know")
        moments[kind][name] = tensor
    return Checkpoint(read_tensors(folder, "model"), moments, read_state(folder))


def new_stage(folder: Path, optimizer: Optimizer, moments: Literal["keep", "reset"]) -> Checkpoint:
    """The beginning of another stage of training: the weights of a checkpoint, and its moments or none."""
    weights = read_tensors(folder, "model")
    match moments:
        case "keep":
            kept = read(folder, optimizer).moments
        case "reset":
            kept = {kind: {name: np.zeros_like(w) for name, w in weights.items()} for kind in moment_names(optimizer)}
        case _:
            assert_never(moments)
    return Checkpoint(weights, kept, State(step=0, position=0, parent="", generators={}))


def read_state(folder: Path) -> State:
    """The state of a checkpoint from the folder of its output."""
    path = folder / "state.json"
    try:
        return State.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ArtifactError(f"{path} is damaged: {error}; build it again") from error


def check_weights(stage: TrainPlan, shapes: Mapping[str, tuple[int, ...]], folder: Path) -> None:
    """ArtifactError unless a checkpoint holds exactly the tensors that a new stage of training takes from it."""
    match stage.start:
        case FromWeights(moments="reset"):
            _check_tensors(folder, shapes, ())
        case _:
            _check_tensors(folder, shapes, moment_names(stage.optimizer))


def _check_tensors(folder: Path, shapes: Mapping[str, tuple[int, ...]], moments: tuple[str, ...]) -> None:
    for kind, prefix in (("model", ""), *(("optimizer", f"{moment}.") for moment in moments)):
        found = {name: t.shape for name, t in read_tensors(folder, kind).items() if name.startswith(prefix)}
        wanted = {f"{prefix}{name}": shape for name, shape in shapes.items()}
        if found != wanted:
            odd = sorted(set(found.items()) ^ set(wanted.items()))[0][0]
            raise ArtifactError(
                f"{folder} is a checkpoint of another model: {odd!r} differs; start from one of this model"
            )


def check_same_model(stage: TrainPlan, shapes: Mapping[str, tuple[int, ...]], folder: Path) -> None:
    """ArtifactError unless a checkpoint holds exactly the tensors of the stage's model, and lies at its first step."""
    _check_tensors(folder, shapes, moment_names(stage.optimizer))
    state = read_state(folder)
    if state.step != stage.first_step() or state.position != state.step * stage.batch.rows:
        raise ArtifactError(
            f"{folder} lies at step {state.step} after {state.position} rows; this run needs step {stage.first_step()} "
            f"with {stage.batch.rows} rows a step"
        )
