"""What an artifact is: recipe, lowered stage, inputs, content digests of its outputs. Equal on every rebuild."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, JsonValue, ValidationError

from engine.spec.base import Spec
from engine.spec.canonical import digest, pretty
from engine.spec.errors import ArtifactError
from engine.spec.ref import Name
from engine.spec.units import Index, Sha256

MANIFEST = "manifest.json"


class Column(Spec):
    """A column of a table."""

    name: str
    type: str


class TablePart(Spec):
    """Rows; `bytes` counts their canonical bytes."""

    kind: Literal["table"]
    digest: Sha256
    xxh3: str
    rows: Index
    bytes: Index
    columns: tuple[Column, ...]


class ArrayPart(Spec):
    """One array whose rows were streamed."""

    kind: Literal["array"]
    digest: Sha256
    xxh3: str
    dtype: str
    shape: tuple[Index, ...]


class Tensor(Spec):
    """One tensor of a safetensors file."""

    digest: Sha256
    xxh3: str
    dtype: str
    shape: tuple[Index, ...]


class TensorsPart(Spec):
    """Named tensors."""

    kind: Literal["tensors"]
    digest: Sha256
    xxh3: str
    tensors: dict[str, Tensor]


class FilePart(Spec):
    """A file that is its bytes."""

    kind: Literal["file"]
    digest: Sha256
    xxh3: str
    bytes: Index


Part = Annotated[TablePart | ArrayPart | TensorsPart | FilePart, Field(discriminator="kind")]


class Output(Spec):
    """A named output; its digest covers the digests of its parts."""

    digest: Sha256
    parts: dict[str, Part]


class InputRecord(Spec):
    """An output of an earlier run, as it was when this one read it; `content` is that of the whole run."""

    run: str
    output: Name
    recipe: Sha256
    digest: Sha256
    content: Sha256


class Manifest(Spec):
    """The whole statement. No time, host, commit or toolchain: it is the same file on every rebuild."""

    format: Literal[1]
    run: str
    recipe: Sha256
    code: Sha256
    content: Sha256
    stage: dict[str, JsonValue]
    inputs: dict[str, tuple[InputRecord, ...]]
    outputs: dict[str, Output]
    metrics: dict[str, JsonValue]


def output_of(parts: dict[str, Part]) -> Output:
    """An output from its parts."""
    return Output(digest=digest({name: part.digest for name, part in parts.items()}), parts=parts)


def content_digest(outputs: Mapping[str, Output], metrics: Mapping[str, JsonValue]) -> str:
    """The content digest of a run: over the digests of its outputs by name, and its metrics, which claims read."""
    return digest({"outputs": {name: output.digest for name, output in outputs.items()}, "metrics": metrics})


def read_manifest(path: Path) -> Manifest:
    """A manifest from its file; ArtifactError when it is not exactly the text that the engine writes."""
    text = path.read_bytes()
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        raise ArtifactError(f"{path} is damaged: {error.errors()[0]['msg']}; build it again") from error
    if pretty(manifest).encode("utf-8") != text:
        raise ArtifactError(f"{path} was changed after it was written: its text is not canonical; build it again")
    return manifest


def recipe_digest(stage: Mapping[str, JsonValue], inputs: Mapping[str, tuple[str, ...]], code: str) -> str:
    """The recipe of a run: over its lowered stage, the recipes of the runs that each reference names, and its code."""
    return digest({"format": 1, "stage": stage, "inputs": inputs, "code": code})
