"""The vocabulary of duplicates: what makes two documents the same, which one stays, and what may not leak."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engine.spec.base import NEUTRAL, Spec
from engine.spec.ref import Name, Ref
from engine.spec.units import Count, Seed


class Shingle(Spec):
    """The pieces of a text whose set is compared."""

    unit: Literal["character"] = "character"
    width: Count = 13
    text: Literal["slimpajama", "plain"] = "slimpajama"
    """`slimpajama`: lower case, ASCII punctuation deleted, runs of white space to one space, stripped (facts: the
    published pipeline); `plain`: the text as it stands. A text shorter than `width` is one shingle."""


class MinHash(Spec):
    """Signatures of documents, folded into bands. Output: `bands`, one row a document in the order of the documents.

    Two documents of Jaccard similarity s share a band with probability 1 - (1 - s^rows)^bands.
    """

    toolchain: ClassVar[Literal["data", "compute"]] = "data"
    kind: Literal["minhash"]
    documents: Ref
    shingle: Shingle = Shingle()
    permutations: Count = 128
    bands: Count = 9
    rows: Count = 13
    """bands * rows is at most `permutations`; what is over is not used."""
    seed: Seed

    def outputs(self) -> tuple[str, ...]:
        return ("bands",)


class BandingRecall(Spec):
    """How often pairs of known similarity share a band, beside the curve that says so. Output: `scores`.

    Pairs are a real document and a copy of it with pieces exchanged until the Jaccard similarity falls into a bin.
    """

    toolchain: ClassVar[Literal["data", "compute"]] = "data"
    kind: Literal["banding_recall"]
    documents: Ref
    shingle: Shingle = Shingle()
    permutations: Count = 128
    bands: Count = 9
    rows: Count = 13
    edges: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=2)] = (
        0.5,
        0.55,
        0.6,
        0.65,
        0.7,
        0.75,
        0.8,
        0.85,
        0.9,
        0.95,
        1.0,
    )
    """Edges of the bins, rising."""
    pairs: Count
    """In each bin."""
    seed: Seed

    def outputs(self) -> tuple[str, ...]:
        return ("scores",)


class ExactDuplicates(Spec):
    """Two documents are the same when the sha256 of their text is."""

    kind: Literal["exact"]


class Unverified(Spec):
    """A shared band is enough, as in SlimPajama."""

    kind: Literal["none"] = "none"


class JaccardAtLeast(Spec):
    """A pair from a shared band counts only if the exact Jaccard similarity of its shingles is at least `least`.

    Of the documents that share a band, the first by the keep rule is held against each of the others; those that fail
    are held against the first of them, and so on. So each pair of a band is measured that no earlier one has settled.
    """

    kind: Literal["jaccard"]
    least: Annotated[float, Field(gt=0, le=1)]


Verify = Annotated[Unverified | JaccardAtLeast, Field(discriminator="kind")]


class NearDuplicates(Spec):
    """Documents of one text or with a band in common are connected; the connected components are the clusters."""

    kind: Literal["near"]
    bands: Ref
    """Of a `minhash` stage over these documents, or over more: one index serves many scopes and many subsets."""
    verify: Verify = Unverified()


DedupMethod = Annotated[ExactDuplicates | NearDuplicates, Field(discriminator="kind")]


class Keep(Spec):
    """Which document of a cluster stays: the first in `priority`, then the smallest of `then`; never the first seen.

    TxT360's rule is `by: source`, the curated sources first, then the crawls from the latest to the oldest.
    """

    priority: tuple[Name, ...] = ()
    by: Literal["domain", "source"] = Field(default="domain", json_schema_extra={NEUTRAL: "domain"})
    """What `priority` names; what it leaves out comes after all that it names."""
    then: Literal["document_id", "text_digest"] = "document_id"
    """`text_digest`: the sha256 of the text, and of equal texts the smallest document id."""


class Dedup(Spec):
    """Duplicates out. Outputs: `documents`, `dropped` (id, source, domain, reason, stands_for, measured).

    `exact_duplicate` has the text of the document that stands for it; `near_duplicate` has another, and `measured` is
    the exact Jaccard similarity of the two, which may lie below any threshold where a chain connects them.
    """

    toolchain: ClassVar[Literal["data", "compute"]] = "data"
    kind: Literal["dedup"]
    documents: Ref
    scope: Literal["global", "local"]
    """`global` compares all documents, `local` only those of one domain."""
    method: DedupMethod
    keep: Keep = Keep()

    def outputs(self) -> tuple[str, ...]:
        return ("documents", "dropped")


class CompareDrops(Spec):
    """The documents of `dropped` that are not in `unless`, with the origin of each and of its stand-in. Output: `only`.

    With the drops of a global dedup, and those of a local one in `unless`, they are what only global dedup removes.
    """

    toolchain: ClassVar[Literal["data", "compute"]] = "data"
    kind: Literal["compare_drops"]
    dropped: Ref
    documents: Ref
    """What the stage of `dropped` kept: the documents that stand for those that it did not."""
    unless: Ref

    def outputs(self) -> tuple[str, ...]:
        return ("only",)


class SameText(Spec):
    """A document goes when the sha256 of its text is that of a protected one."""

    kind: Literal["exact"]


class SharedBand(Spec):
    """A document goes when it shares a band with a protected one; of several the one that shares most is named.

    `bands` index the documents and the protected ones, with the texts that they have here.
    """

    kind: Literal["near"]
    bands: tuple[Ref, ...]


class SharedNgram(Spec):
    """A document goes when it shares at least `least` runs of `words` words with a protected one.

    Words are runs of letters and digits of the text in lower case, as in the paper of GPT-3, appendix C (13 words).
    Equal runs count once. A protected text with fewer words has no run: the metrics say how many there are.
    """

    kind: Literal["ngram"]
    words: Count = 13
    least: Count = 1


LeakTest = Annotated[SameText | SharedBand | SharedNgram, Field(discriminator="kind")]


class Decontaminate(Spec):
    """Documents that repeat protected ones out: held-out text, evaluation sets. Outputs: `documents`, `dropped`."""

    toolchain: ClassVar[Literal["data", "compute"]] = "data"
    kind: Literal["decontaminate"]
    documents: Ref
    against: Annotated[tuple[Ref, ...], Field(min_length=1)]
    tests: Annotated[tuple[LeakTest, ...], Field(min_length=1)]

    def outputs(self) -> tuple[str, ...]:
        return ("documents", "dropped")
