"""The union of all stage specs: one experiment, fully described."""

from typing import Annotated, Literal

from pydantic import Field

from engine.data.dedup.spec import BandingRecall, CompareDrops, Decontaminate, Dedup, MinHash
from engine.data.spec import Chunks, Clean, Fim, FimPlan, Ingest, Pack, PackPlan, Plant, Split, Tokenizer
from engine.evaluate.lm_eval.spec import LmEval, LmEvalPlan
from engine.evaluate.spec import Claim, ClaimsPlan, Perplexity, PerplexityPlan
from engine.models.pretrained.spec import Import
from engine.spec.base import NEUTRAL, Spec
from engine.spec.layout import Determinism, Layout
from engine.spec.numerics import Numerics
from engine.spec.ref import Name
from engine.spec.units import NonNegative
from engine.train.spec import Train, TrainPlan

Stage = Annotated[
    Ingest
    | Clean
    | MinHash
    | Dedup
    | CompareDrops
    | Plant
    | Split
    | Decontaminate
    | BandingRecall
    | Tokenizer
    | Pack
    | Fim
    | Chunks
    | Import
    | Train
    | Perplexity
    | LmEval,
    Field(discriminator="kind"),
]
"""What an author writes."""

Lowered = (
    Ingest
    | Clean
    | MinHash
    | Dedup
    | CompareDrops
    | Decontaminate
    | BandingRecall
    | Plant
    | Split
    | Tokenizer
    | PackPlan
    | FimPlan
    | Chunks
    | Import
    | TrainPlan
    | PerplexityPlan
    | LmEvalPlan
    | ClaimsPlan
)
"""What runs: every default and every derived number written out."""


class Tolerance(Spec):
    """How far metrics may lie from the recorded ones on another toolchain, relative to the recorded value."""

    relative: NonNegative = 0.05


class Experiment(Spec):
    """A spec file after `extends` and `matrix`: stages by their name, or `name[cell]` where there is a matrix."""

    format: Literal[1]
    experiment: Name
    paper: Name
    scale: Literal["proxy", "full", "evaluation"] = "proxy"
    """`proxy` runs on two CPU cores and stands in the root dvc.yaml; the others share the paper's own."""
    about: str = ""
    determinism: Determinism
    layouts: dict[Name, Layout] = Field(default={}, json_schema_extra={NEUTRAL: {}})
    """Under `regroup`: how training stages are laid out unless the run says otherwise; it can change no bit."""
    numerics: Numerics = Numerics()
    tolerance: Tolerance = Tolerance()
    stages: Annotated[dict[str, Stage], Field(min_length=1)]
    claims: tuple[Claim, ...] = ()
