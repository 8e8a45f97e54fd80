"""Content digests computed again from rows, tensors and bytes, and compared with a manifest."""

from pathlib import Path
from typing import assert_never

import numpy as np

from engine.artifacts.digest import file_digest
from engine.artifacts.manifest import (
    ArrayPart,
    FilePart,
    Manifest,
    Part,
    TablePart,
    TensorsPart,
    content_digest,
    output_of,
)
from engine.artifacts.read import read_array, read_schema, read_table, read_tensors
from engine.artifacts.rows import TableHasher, row_bytes
from engine.artifacts.tensors import hash_tensor, tensors_part
from engine.spec.errors import ArtifactError


def broken(folder: Path, manifest: Manifest) -> list[str]:
    """Everything in which the content of an artifact differs from its manifest."""
    problems = []
    for output, record in manifest.outputs.items():
        for name, part in record.parts.items():
            problems += _broken_part(folder / output, name, part)
        if output_of(record.parts) != record:
            problems.append(f"{folder}: the digest of output {output} is not that of its parts")
    if content_digest(manifest.outputs, manifest.metrics) != manifest.content:
        problems.append(f"{folder}: the content digest is not that of the outputs")
    return problems


def _broken_part(folder: Path, name: str, part: Part) -> list[str]:
    try:
        found = _part(folder, name, part)
    except (ArtifactError, TypeError, OSError) as error:
        return [str(error)]
    return [] if found == part else [f"{folder}: the content of {name} is not that of the manifest"]


def _part(folder: Path, name: str, part: Part) -> Part:
    match part:
        case TablePart():
            return _table(folder)
        case ArrayPart():
            return _array(name, read_array(folder, name))
        case TensorsPart():
            return tensors_part({key: hash_tensor(key, value) for key, value in read_tensors(folder, name).items()})
        case FilePart():
            found = file_digest(folder / name)
            return FilePart(kind="file", digest=found.sha256, xxh3=found.xxh3, bytes=found.bytes)
        case _:
            assert_never(part)


def _table(folder: Path) -> TablePart:
    hasher = TableHasher(read_schema(folder))
    for batch in read_table(folder):
        hasher.update(row_bytes(batch))
    return hasher.part()


def _array(name: str, array: np.ndarray) -> ArrayPart:
    tensor = hash_tensor(name, array)
    return ArrayPart(kind="array", digest=tensor.digest, xxh3=tensor.xxh3, dtype=tensor.dtype, shape=tensor.shape)
