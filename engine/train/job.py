"""A job: what the launching process tells the workers, as one JSON file, and the files they answer with."""

from pydantic import JsonValue

from engine.spec.base import Spec
from engine.spec.layout import Layout
from engine.spec.units import Count, Index
from engine.train.spec import TrainPlan

JOB = ".job.json"
FAILURE = ".failure.txt"
FAILURE_BYTES = 4096
WORKER_LOG = ".worker.log"


class Job(Spec):
    """One run of the loop. Paths are absolute."""

    stage: TrainPlan
    layout: Layout
    rows: str
    """Folder of the output with the packed rows."""
    checkpoint: str
    """Folder of the checkpoint to start from; empty to draw weights from the stage's seed."""
    new_stage: bool = False
    """Whether only the weights, and perhaps the moments, of that checkpoint are taken, and steps count from 1."""
    written: bool
    """Whether the checkpoint is this run's own, so that it is not written again."""
    parent: str = ""
    """Digest of that checkpoint where it does not lie in the draft, for the next one to name."""
    last: Index = 0
    """The step to end with; 0: the last of the stage."""
    out: str
    """Folder of the draft."""


class Observed(Spec):
    """What a run says of its cost and of what took effect; never part of an artifact."""

    tokens_per_second: float
    seconds_per_step: float
    start_up_seconds: float
    peak_bytes: Count
    world: Count
    recomputed_steps: Index
    """Under `regroup`, steps whose gradients outgrew the bounds that were kept for them, and were computed again."""
    kernels: dict[str, JsonValue]
    numerics: dict[str, str]
