"""The vocabulary of imports: where the files of a published model come from, and what is taken out of them."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engine.data.sources.spec import RawFile
from engine.models.spec import Model
from engine.spec.base import Spec
from engine.spec.units import Count, InnerPath, Sha256

Repository = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$")]


class GgufFile(Spec):
    """One GGUF file, by itself or as the one member of an archive; quantised tensors become fp32."""

    kind: Literal["gguf"]
    file: RawFile


class HfFolder(Spec):
    """The files of a Hugging Face folder: config.json, safetensors (with their index when sharded), tokenizer.json."""

    kind: Literal["folder"]
    files: Annotated[tuple[RawFile, ...], Field(min_length=1)]
    """Known by their names at their origin; `members` of an archive name one file each."""


class HubFile(Spec):
    """A file of a repository on the Hugging Face hub."""

    path: InnerPath
    sha256: Sha256


class HubModel(Spec):
    """A repository on the Hugging Face hub at a commit; as a folder, its files fetched over HTTPS."""

    kind: Literal["hub"]
    repository: Repository
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    licence: str
    files: Annotated[tuple[HubFile, ...], Field(min_length=1)]


class HubName(Spec):
    """A repository and a branch, tag or commit whose files nobody has pinned by sha256 yet.

    It can be planned but not run: a name may point to other bytes tomorrow.
    """

    kind: Literal["hub_name"]
    repository: Repository
    revision: str
    licence: str


WeightSource = Annotated[GgufFile | HfFolder | HubModel | HubName, Field(discriminator="kind")]


class PublishedTokenizer(Spec):
    """The tokenizer that lies in the source: its `tokenizer.json`, or that of a GGUF file."""

    vocabulary: Count
    separator: str
    """The token that ends a document, for instance `</s>`."""


class Import(Spec):
    """A published model as it was published, in fp32. Outputs: `weights`, and `tokenizer` when it is asked for.

    The toolchain has no BLAS and no instruction set: halves widen exactly, and a quantised number becomes one product
    and one sum of fp32, each rounded by itself.
    """

    toolchain: ClassVar[Literal["data", "weights", "compute"]] = "weights"
    kind: Literal["import"]
    model: Model
    """What the files must hold; so sizes are known before any of them is read. `init` says nothing here."""
    source: WeightSource
    tokenizer: PublishedTokenizer | None = None

    def outputs(self) -> tuple[str, ...]:
        return ("weights",) if self.tokenizer is None else ("weights", "tokenizer")
