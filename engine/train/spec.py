"""The vocabulary of training: objective, batch, optimizer, layout, checkpoints, and the `train` stage."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue

from engine.kernels.spec import Kernels
from engine.models.spec import Model
from engine.spec.base import NEUTRAL, Spec
from engine.spec.layout import Determinism, Layout
from engine.spec.numerics import Numerics
from engine.spec.ref import Ref
from engine.spec.units import Count, Fraction, Index, NonNegative, Positive, Seed


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
    retain_every: Count | None = Field(default=None, json_schema_extra={NEUTRAL: None})
    """Of those between the first and the last, the multiples of this many steps stay; the others only until the next.

    None: all stay.
    """


class Reading(Spec):
    """The order in which the chunks of the rows are read; without it, ascending. Source: LLM360 k2-train, main.py."""

    first: tuple[tuple[Index, Index], ...] = ()
    """Ranges of chunks, both ends included, that are read before all others."""
    last: tuple[Index, ...] = ()
    """Chunks that are read after all others, in this order."""


class NoRemedy(Spec):
    """Spikes are logged, and nothing is done."""

    kind: Literal["none"]


class RollBack(Spec):
    """Back to the last checkpoint before the spike, and on with the same data."""

    kind: Literal["roll_back"]


class Defer(Spec):
    """Back to the last checkpoint before the chunk, which is moved to the end of the order: K2-65B's remedy."""

    kind: Literal["defer"]


class LowerRate(Spec):
    """Back, and on with the same data at a lower learning rate."""

    kind: Literal["lower_rate"]
    factor: Fraction
    steps: Count


class ClipHarder(Spec):
    """Back, and on with the same data and a smaller bound on the gradient norm."""

    kind: Literal["clip_harder"]
    norm: Positive
    steps: Count


Remedy = Annotated[NoRemedy | RollBack | Defer | LowerRate | ClipHarder, Field(discriminator="kind")]


class Spikes(Spec):
    """When a loss spike is malignant, and what is done then; train/spikes.py has the rule."""

    window: Count = 32
    factor: Annotated[float, Field(gt=1)]
    patience: Count
    remedy: Remedy
    most: Count = 4
    """Remedies in a run; afterwards spikes are only logged."""


class FromScratch(Spec):
    """Weights drawn from the stage's seed."""

    kind: Literal["scratch"] = "scratch"


class FromCheckpoint(Spec):
    """Weights, optimizer and data cursor of a checkpoint of a run with the same model."""

    kind: Literal["checkpoint"]
    checkpoint: Ref


class FromWeights(Spec):
    """The weights of a checkpoint, on new rows from their first one: another stage of training.

    The model may have another context and base of its rotary positions. Steps count from 1 again.
    """

    kind: Literal["weights"]
    checkpoint: Ref
    moments: Literal["keep", "reset"] = "keep"
    """Whether the optimizer's moments go on too; an import has none."""


Start = Annotated[FromScratch | FromCheckpoint | FromWeights, Field(discriminator="kind")]


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
    horizon_steps: Count | None = Field(default=None, json_schema_extra={NEUTRAL: None})
    """The last step of the learning rate's schedule, when the run ends before it."""
    reading: Reading | None = Field(default=None, json_schema_extra={NEUTRAL: None})
    spikes: Spikes | None = Field(default=None, json_schema_extra={NEUTRAL: None})
    seed: Seed

    def outputs(self) -> tuple[str, ...]:
        return (*(f"step-{step}" for step in self.kept_steps()), "log")

    def kept_steps(self) -> tuple[int, ...]:
        """Steps whose checkpoints are outputs."""
        retain, first = self.checkpoints.retain_every, self.first_step()
        saved = self.saved_steps()
        return saved if retain is None else tuple(s for s in saved if s in (first, self.steps) or s % retain == 0)

    def saved_steps(self) -> tuple[int, ...]:
        """Steps at which a checkpoint is written."""
        every = self.checkpoints.every_steps
        return (*range(self.first_step(), self.steps, every), self.steps)

    def there_at(self, step: int) -> tuple[int, ...]:
        """Steps whose checkpoints are there after a step: those that stay, and the last two of the others."""
        saved = [s for s in self.saved_steps() if s <= step]
        kept = set(self.kept_steps())
        passing = () if step == self.steps else saved[-2:]
        return tuple(s for s in saved if s in kept or s in passing)

    def first_step(self) -> int:
        """The step that the run starts from: 0, or that of the checkpoint it resumes."""
        match self.start:
            case FromCheckpoint(checkpoint=ref):
                step = ref.parts.output.removeprefix("step-")
                return int(step) if step.isdecimal() else 0  # a reference that is refused elsewhere
            case FromScratch() | FromWeights():
                return 0


def before(start: Start) -> tuple[Ref, int] | None:
    """The checkpoint that a run goes on from and its step; None where weights are drawn or imported."""
    match start:
        case FromCheckpoint(checkpoint=ref) | FromWeights(checkpoint=ref):
            step = ref.parts.output.removeprefix("step-")
            return (ref, int(step)) if step.isdecimal() else None
        case FromScratch():
            return None


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
