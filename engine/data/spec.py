"""The vocabulary of the data room: the stages from raw bytes to rows of token ids.

That of sources, readers, cleaning steps, duplicates and mixes is in the `spec.py` of their folders.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engine.data.cleaning.spec import CleanStep
from engine.data.mix.spec import Mix
from engine.data.sources.spec import RawFile, Source
from engine.spec.base import Spec
from engine.spec.ref import Name, Ref
from engine.spec.units import Count, Fraction, Index, Seed


class Ingest(Spec):
    """Raw bytes to documents. Output: `documents`."""

    toolchain: ClassVar[Literal["data", "compute"]] = "data"
    kind: Literal["ingest"]
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]

    def outputs(self) -> tuple[str, ...]:
        return ("documents",)


class Clean(Spec):
    """Documents through steps, in order. Outputs: `documents`, `dropped` (id, source, domain, reason)."""

    toolchain: ClassVar[Literal["data", "compute"]] = "data"
    kind: Literal["clean"]
    documents: Ref
    steps: Annotated[tuple[CleanStep, ...], Field(min_length=1)]

    def outputs(self) -> tuple[str, ...]:
        return ("documents", "dropped")


class Copies(Spec):
    """A share of the documents of domain `of` is planted once more, in domain `into`."""

    of: Name
    into: Name
    share: Fraction
    words_left_out: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the copy's words that are left out, at random places; 0 makes exact copies."""


class Plant(Spec):
    """Duplicates planted on purpose, a control. Outputs: `documents`, `planted` (id, copy_of, domain, into)."""

    toolchain: ClassVar[Literal["data", "compute"]] = "data"
    kind: Literal["plant"]
    documents: Ref
    copies: Annotated[tuple[Copies, ...], Field(min_length=1)]
    seed: Seed

    def outputs(self) -> tuple[str, ...]:
        return ("documents", "planted")


class Split(Spec):
    """Held-out documents apart, by a hash of (seed, domain, document or its group). Outputs: `train`, `heldout`."""

    toolchain: ClassVar[Literal["data", "compute"]] = "data"
    kind: Literal["split"]
    documents: Ref
    by: Literal["document", "group"]
    heldout: Fraction
    seed: Seed

    def outputs(self) -> tuple[str, ...]:
        return ("train", "heldout")


class SentencePieceBpe(Spec):
    """A byte-pair encoding trained by sentencepiece on documents, with byte fallback; text survives unchanged."""

    kind: Literal["sentencepiece_bpe"]
    documents: Ref
    vocabulary: Annotated[int, Field(ge=300)]
    """Number of ids, with `<unk>` 0, `<s>` 1, `</s>` 2 and 256 bytes."""
    character_coverage: Annotated[float, Field(gt=0, le=1)] = 0.9995
    train_chars: Count
    """At most so many characters are read, in the order of the documents, a fair share from each domain."""


class HuggingFaceTokenizer(Spec):
    """A published `tokenizer.json`."""

    kind: Literal["huggingface"]
    file: RawFile
    vocabulary: Count
    separator: str
    """The token that ends a document, for instance `</s>`."""


TokenizerKind = Literal["sentencepiece_bpe", "huggingface"]
TokenizerMethod = Annotated[SentencePieceBpe | HuggingFaceTokenizer, Field(discriminator="kind")]


class Tokenizer(Spec):
    """A tokenizer, trained or loaded. Output: `model`."""

    toolchain: ClassVar[Literal["data", "compute"]] = "data"
    kind: Literal["tokenizer"]
    method: TokenizerMethod

    def outputs(self) -> tuple[str, ...]:
        return ("model",)


class Pack(Spec):
    """Documents to rows of token ids in training order. Outputs: `rows`, `provenance`, `dropped`."""

    toolchain: ClassVar[Literal["data", "compute"]] = "data"
    kind: Literal["pack"]
    documents: Ref
    tokenizer: Ref
    row_tokens: Annotated[int, Field(ge=2)]
    separator: Literal["end_of_document"] = "end_of_document"
    """The tokenizer's end token follows every document; nothing precedes one."""
    mix: Mix
    seed: Seed
    """`deal` shuffles the rows of each chunk by a generator named after this seed and the chunk; `sample` draws."""

    def outputs(self) -> tuple[str, ...]:
        return ("rows", "provenance", "dropped")


class PackPlan(Pack):
    """A lowered `pack`."""

    vocabulary: Count
    tokenizer_kind: TokenizerKind


class AppendedSentinels(Spec):
    """Four ids after those of the tokenizer: prefix, middle, suffix, pad. A model wants four ids more for them."""

    kind: Literal["appended"] = "appended"


class NamedSentinels(Spec):
    """Special tokens that a published tokenizer has."""

    kind: Literal["named"]
    prefix: str = "<fim_prefix>"
    middle: str = "<fim_middle>"
    suffix: str = "<fim_suffix>"
    pad: str = "<fim_pad>"


SentinelChoice = Annotated[AppendedSentinels | NamedSentinels, Field(discriminator="kind")]
Probability = Annotated[float, Field(ge=0, le=1)]


class Fim(Spec):
    """Packed rows of some domains in fill-in-the-middle form. Outputs: `rows`, `provenance`, `choices` (row, form).

    Each piece of a document is cut at two characters and put down as prefix, suffix, middle (PSM), or as suffix,
    prefix, middle (SPM, its second variant); the row is then cut to its length, or padded. Source: LLM360's
    k2-data-prep, starcoder_fim_main.py and gather.py, whose coin is seeded by the clock; here it follows from seed and
    document.
    """

    toolchain: ClassVar[Literal["data", "compute"]] = "data"
    kind: Literal["fim"]
    rows: Ref
    provenance: Ref
    documents: Ref
    """What the rows were packed from."""
    tokenizer: Ref
    """What they were packed with."""
    domains: Annotated[tuple[Name, ...], Field(min_length=1)]
    rate: Probability = 0.5
    """How probable it is that a row takes one of the two forms."""
    spm: Probability = 0.5
    """How probable SPM is for a row that does."""
    sentinels: SentinelChoice = AppendedSentinels()
    seed: Seed

    def outputs(self) -> tuple[str, ...]:
        return ("rows", "provenance", "choices")


class Chunks(Spec):
    """Packed rows in chunks of one length, cut from the end of each. Outputs: `rows`, `provenance`.

    K2-65B's checkpoints lie at the ends of its chunks only as far as these have whole batches. A poisoned chunk has the
    ids of each of its rows in a random order: a fault on purpose, to see what a run makes of it.
    """

    toolchain: ClassVar[Literal["data", "compute"]] = "data"
    kind: Literal["chunks"]
    rows: Ref
    provenance: Ref
    documents: Ref
    """What the rows were packed from."""
    rows_each: Count
    poisoned: tuple[Index, ...] = ()
    """Their numbers, in the order of the rows."""
    seed: Seed

    def outputs(self) -> tuple[str, ...]:
        return ("rows", "provenance")


class FimPlan(Fim):
    """A lowered `fim`; `vocabulary` counts the sentinels."""

    vocabulary: Count
    tokenizer_kind: TokenizerKind
    row_tokens: Count
