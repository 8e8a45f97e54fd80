"""The reading side of artifacts: a stage's inputs, and their tables, arrays and tensors, streamed or memory-mapped."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.artifacts import tensors
from engine.artifacts.manifest import Manifest
from engine.spec.errors import ArtifactError


@dataclass(frozen=True, slots=True)
class Input:
    """An output of an earlier run, as a stage reads it."""

    ref: str
    run: str
    output: str
    folder: Path  # the output's own folder
    digest: str
    manifest: Manifest


class Inputs:
    """The inputs of a stage by the references that its fields hold."""

    def __init__(self, found: Mapping[str, tuple[Input, ...]]) -> None:
        self._found = dict(found)

    def one(self, ref: str) -> Input:
        """The input of a reference that names one output."""
        (found,) = self._found[ref]
        return found

    def all(self, ref: str) -> tuple[Input, ...]:
        """All inputs of a reference, in the order of the plan."""
        return self._found[ref]

    def by_run(self) -> dict[str, tuple[str, ...]]:
        """The outputs that are read of each run, every one once, in the order of the plan."""
        found: dict[str, dict[str, None]] = {}
        for item in (item for items in self._found.values() for item in items):
            found.setdefault(item.run, {})[item.output] = None
        return {run: tuple(outputs) for run, outputs in found.items()}

    def manifest(self, run: str) -> Manifest:
        """The manifest of a run as it was when its outputs were opened."""
        return next(item.manifest for items in self._found.values() for item in items if item.run == run)

    def refs(self) -> tuple[str, ...]:
        """Every reference, in the order of the plan."""
        return tuple(self._found)


BATCH_ROWS = 4096


def read_table(folder: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of a table in order; memory is one row group. ArtifactError when a file cannot be read."""
    paths = sorted(folder.glob("part-*.parquet"))
    if not paths:
        raise ArtifactError(f"{folder} holds no table (no part-*.parquet); build it again")
    for path in paths:
        try:
            # pre_buffer, the default of pyarrow 26, would hold the whole file until its last batch
            with pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False) as file:
                yield from file.iter_batches(BATCH_ROWS, columns=None if columns is None else list(columns))
        except (pa.ArrowException, OSError) as error:
            raise ArtifactError(f"{path} is damaged ({error}); build it again") from error


def read_schema(folder: Path) -> pa.Schema:
    """The schema of a table."""
    path = folder / "part-00000.parquet"
    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise ArtifactError(f"{path} is damaged ({error}); build it again") from error


def read_array(folder: Path, name: str) -> np.ndarray:
    """An array, memory-mapped and read-only. ArtifactError when the file cannot be read."""
    path = folder / f"{name}.npy"
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError) as error:
        raise ArtifactError(f"{path} is damaged ({error}); build it again") from error
    if not isinstance(array, np.memmap) or array.offset + array.nbytes != path.stat().st_size:
        raise ArtifactError(f"{path} has another size than its header says; build it again")
    return array


def read_tensors(folder: Path, name: str) -> dict[str, np.ndarray]:
    """Tensors by sorted name, memory-mapped and read-only. ArtifactError when the file cannot be read."""
    path = folder / f"{name}.safetensors"
    try:
        return tensors.read(path)
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error.strerror}); build it again") from error
