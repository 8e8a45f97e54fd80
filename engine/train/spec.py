"""The vocabulary of training: objective, batch, optimizer, layout, checkpoints, and the `train` stage."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue

from engine.kernels.spec import Kernels
from engine.models.spec import Model
from engine.spec.base import NEUTRAL, Spec
from engine.spec.layout import Determinism, Layout
from engine.spec.numerics import Numerics
from engine.spec.ref import Ref
from engine.spec.units import Count, Index, NonNegative, Positive, Seed


class NextToken(Spec):
    """Mean cross-entropy of each next token inside a row: row_tokens - 1 targets a row."""

    kind: Literal["next_token"]


Objective = NextToken


class Batch(Spec):
    """Rows that make one step, and rows in one forward pass of one rank."""

    rows: Count
    micro_rows: Count


class Cosine(Spec):
    """Linear warm-up from 0 to `peak`, then half a cosine to `floor` at the last step."""

    kind: Literal["cosine"]
    peak: Positive
    floor: NonNegative
    warmup_steps: Index


class Linear(Spec):
    """Linear warm-up from 0 to `peak`, then a straight line to `floor` at the last step."""

    kind: Literal["linear"]
    peak: Positive
    floor: NonNegative
    warmup_steps: Index


Schedule = Annotated[Cosine | Linear, Field(discriminator="kind")]


class DecayPhase(Spec):
    """Another weight decay from one update on."""

    from_step: Count
    """The first update of the phase; updates count from 1."""
    weight_decay: NonNegative


class AdamW(Spec):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019); norms and other vectors are not decayed."""

    kind: Literal["adamw"]
    lr: Schedule
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]]
    eps: Positive = 1e-8
    weight_decay: NonNegative
    later_decays: tuple[DecayPhase, ...] = Field(default=(), json_schema_extra={NEUTRAL: ()})  # type: ignore[dict-item]
    """Phases after the first, in order: SlimPajama-DC's progressive training on weight decay goes 0, 0.5, 0.1."""
    clip: Positive
    """Largest global gradient norm."""


Optimizer = AdamW


class Checkpoints(Spec):
    """A checkpoint at step 0, at every multiple of `every_steps`, and at the last step."""

    every_steps: Count


class FromScratch(Spec):
    """Weights drawn from the stage's seed."""

    kind: Literal["scratch"] = "scratch"


class FromCheckpoint(Spec):
    """Weights, optimizer and data cursor of a checkpoint of a run with the same model."""

    kind: Literal["checkpoint"]
    checkpoint: Ref


Start = Annotated[FromScratch | FromCheckpoint, Field(discriminator="kind")]


class Train(Spec):
    """The training loop. Outputs: `step-N` for every checkpoint, `final` (the last of them), `log`."""

    toolchain: ClassVar[Literal["data", "compute"]] = "compute"
    kind: Literal["train"]
    model: Model
    rows: Ref
    objective: Objective
    batch: Batch
    steps: Count
    optimizer: Optimizer
    kernels: Kernels = Kernels()
    layout: Layout | None = Field(default=None, json_schema_extra={NEUTRAL: None})
    """Under `repeat`, one rank by default; `regroup` refuses it, since no layout can change a bit there."""
    checkpoints: Checkpoints
    start: Start = FromScratch()
    seed: Seed

    def outputs(self) -> tuple[str, ...]:
        return (*(f"step-{step}" for step in self.kept_steps()), "log")

    def kept_steps(self) -> tuple[int, ...]:
        """Steps at which a checkpoint is written."""
        every = self.checkpoints.every_steps
        return (*range(self.first_step(), self.steps, every), self.steps)

    def first_step(self) -> int:
        """The step that the run starts from: 0, or that of the checkpoint it resumes."""
        match self.start:
            case FromCheckpoint(checkpoint=ref):
                step = ref.parts.output.removeprefix("step-")
                return int(step) if step.isdecimal() else 0  # a reference that is refused elsewhere
            case FromScratch():
                return 0


class TrainPlan(Train):
    """A lowered `train`: every derived number written out."""

    determinism: Determinism
    numerics: Numerics
    row_tokens: Count
    micro_batches: Count
    """Forward passes that make one step, over all ranks."""
    tokens_per_step: Count
    parameters: Count
    deepspeed: dict[str, JsonValue] = Field(default={}, json_schema_extra={NEUTRAL: {}})
    """Under `repeat`; under `regroup` it follows from the layout that a run is given."""
