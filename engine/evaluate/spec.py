"""The vocabulary of evaluation: held-out perplexity, and claims as executable checks."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.config import JsonDict

from engine.data.spec import TokenizerKind
from engine.evaluate.statistics.spec import Agree, Best, Bound, Interaction, Metric, Ordered, Paired, Ranks, Shares
from engine.kernels.spec import Kernels
from engine.models.spec import Model
from engine.spec.base import NEUTRAL, Spec
from engine.spec.layout import Determinism
from engine.spec.numerics import Numerics
from engine.spec.ref import Name, Ref
from engine.spec.units import Count, Index, Positive


class Unigram(Spec):
    """A model that knows only how often each id stands in the training rows, with add-one smoothing."""

    kind: Literal["unigram"]
    rows: Ref


class NoBaseline(Spec):
    """The checkpoint is compared with nothing."""

    kind: Literal["none"] = "none"


Baseline = Annotated[Unigram | NoBaseline, Field(discriminator="kind")]


class ByDocument(Spec):
    """Each document by itself, the end token before and after it; every id after the first is scored once."""

    kind: Literal["documents"] = "documents"
    lead: Index | None = Field(default=None, json_schema_extra={NEUTRAL: None})
    """The id before each document, for instance LLaMA's `<s>`, 1; none: the end token."""


class Joined(Spec):
    """All documents as one text, cut into whole windows; all ids of a window but its first are scored.

    The protocol of GPTQ, SparseGPT, Wanda and GBLM-Pruner for WikiText-2. What fills no window at the end is left out.
    """

    kind: Literal["joined"]
    between: str
    """Text between two documents, for instance two newlines."""
    lead: tuple[Index, ...] = ()
    """Ids before the text, for instance LLaMA's `<s>`, 1."""
    first_tokens: Count | None = None
    """At most so many ids are scored or seen; none: all of them."""


Windows = Annotated[ByDocument | Joined, Field(discriminator="kind")]

BY_DOCUMENT: JsonDict = {"kind": "documents", "lead": None}


class Perplexity(Spec):
    """Token, word and byte perplexity of a checkpoint on documents, by domain. Output: `scores`."""

    toolchain: ClassVar[Literal["data", "compute"]] = "compute"
    kind: Literal["perplexity"]
    checkpoint: Ref
    documents: Ref
    tokenizer: Ref
    window_tokens: Count
    """Tokens of context in one forward pass; windows do not overlap, and no token is scored twice."""
    windows: Windows = Field(default=ByDocument(), json_schema_extra={NEUTRAL: BY_DOCUMENT})
    batch_rows: Count
    baseline: Baseline = NoBaseline()
    kernels: Kernels = Kernels()

    def outputs(self) -> tuple[str, ...]:
        return ("scores",)


class PerplexityPlan(Perplexity):
    """A lowered `perplexity`."""

    determinism: Determinism
    numerics: Numerics
    model: Model
    tokenizer_kind: TokenizerKind


class EqualContent(Spec):
    """Two outputs have the same content digest."""

    kind: Literal["equal_content"]
    left: Ref
    right: Ref


class AtMost(Spec):
    """left <= factor * right."""

    kind: Literal["at_most"]
    left: Metric
    factor: Positive
    right: Metric


class Traced(Spec):
    """The bytes of every row are the bytes of the documents that its provenance names."""

    kind: Literal["traced"]
    rows: Ref
    provenance: Ref
    documents: Ref
    tokenizer: Ref


class Disjoint(Spec):
    """No text (by sha256) and no group stands in both."""

    kind: Literal["disjoint"]
    left: Ref
    right: Ref


Check = Annotated[
    EqualContent | AtMost | Traced | Disjoint | Paired | Best | Ordered | Bound | Interaction | Ranks | Shares | Agree,
    Field(discriminator="kind"),
]


class Claim(Spec):
    """A statement with a check; its class is never added up with another."""

    id: Name
    class_: Literal["paper", "invariant", "lore"] = Field(alias="class")
    says: str
    source: str = "this project"
    amended: str = Field(default="", json_schema_extra={NEUTRAL: ""})
    """What was changed in the check after a first result was seen, from what, and why; it stands beside the verdict."""
    check: Check


class Claims(Spec):
    """All claims of an experiment, checked when everything they name is built. Output: `verdicts`."""

    toolchain: ClassVar[Literal["data", "compute"]] = "data"
    kind: Literal["claims"]
    claims: Annotated[tuple[Claim, ...], Field(min_length=1)]

    def outputs(self) -> tuple[str, ...]:
        return ("verdicts",)


class ClaimsPlan(Claims):
    """Lowered claims; `tokenizer_kinds` are those of the tokenizers that the checks read."""

    tokenizer_kinds: tuple[TokenizerKind, ...]
