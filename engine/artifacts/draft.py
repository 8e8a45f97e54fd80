"""An artifact while it is being written: every writer hashes as it writes, and leaves a durable fragment at its close.

Fragments lie in `<folder>/.outputs/`: `<output>/<part>.json` for each finished part, `<output>.json` for each closed
output. So any process that opens the folder can write a part, and a killed run knows which outputs it had finished.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self, final

import numpy as np
import pyarrow as pa
from pydantic import ValidationError

from engine.artifacts import disk, tensors
from engine.artifacts.digest import (
    FileDigest,
    Hasher,
    HashingFile,
    bytes_of,
    file_digest,
    little_endian,
    tensor_digest,
)
from engine.artifacts.manifest import ArrayPart, FilePart, Output, Part, output_of
from engine.artifacts.table import TableWriter
from engine.artifacts.writer import Writer
from engine.spec.base import Spec
from engine.spec.canonical import pretty
from engine.spec.errors import ArtifactError

FRAGMENTS = ".outputs"
TABLE = "table"  # the name of the one part of an output that is a table
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class PartFragment(Spec):
    """A finished part: its content, and the bytes of its files by their path in the artifact."""

    part: Part
    files: dict[str, FileDigest]


class OutputFragment(Spec):
    """A closed output: its content, and the bytes of all its files."""

    output: Output
    files: dict[str, FileDigest]


class Draft:
    """The folder of an unfinished artifact. Outputs are written part by part, then closed.

    Files and folders in it whose names begin with a dot are scratch: a resumed run finds them, a commit removes them.
    As a context it lets the run go at the end; what is not committed then stays for a resumed run.
    """

    def __init__(self, folder: Path, release: Callable[[], None] | None = None) -> None:
        self.folder = folder
        self._release = release

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._release is not None:
            self._release()

    def table(self, output: str, schema: pa.Schema) -> TableWriter:
        """A table, streamed as record batches; it is the only part of its output."""
        folder = self._part(output, TABLE)
        return TableWriter(folder, schema, lambda part, files: self._finished(output, TABLE, part, files))

    def array(self, output: str, name: str, dtype: np.dtype[Any], row_shape: tuple[int, ...]) -> "ArrayWriter":
        """An array whose first axis is streamed; its length is known at the close."""
        path = self._part(output, name) / f"{name}.npy"
        return ArrayWriter(path, name, dtype, row_shape, lambda part, files: self._finished(output, name, part, files))

    def tensors(self, output: str, name: str, values: Mapping[str, np.ndarray]) -> None:
        """Named tensors; big-endian or strided ones are stored as little-endian C order."""
        path = self._part(output, name) / f"{name}.safetensors"
        ordered = {key: values[key] for key in sorted(values)}
        head = tensors.header(ordered)
        with HashingFile(path, sha256=False) as file:
            file.write(head)
            found = {key: tensors.hash_tensor(key, value, file.write) for key, value in ordered.items()}
        self._finished(output, name, tensors.tensors_part(found), {path.name: file.result()})

    def streamed_tensors(
        self, output: str, name: str, shapes: Mapping[str, tuple[int, ...]], values: Iterable[np.ndarray]
    ) -> None:
        """fp32 tensors of these shapes; `values` come in the order of their names, and one is in memory at a time."""
        path = self._part(output, name) / f"{name}.safetensors"
        nothing = np.zeros((), np.float32)
        found = {}
        with HashingFile(path, sha256=False) as file:
            file.write(tensors.header({key: np.broadcast_to(nothing, shape) for key, shape in shapes.items()}))
            for key, value in zip(sorted(shapes), values, strict=True):
                assert value.dtype == np.float32, key
                assert value.shape == shapes[key], key
                found[key] = tensors.hash_tensor(key, value, file.write)
        self._finished(output, name, tensors.tensors_part(found), {path.name: file.result()})

    def file(self, output: str, name: str) -> HashingFile:
        """A plain file, opened for writing bytes."""
        path = self._part(output, name) / name

        def finished(found: FileDigest) -> None:
            self._finished(output, name, _file_part(found), {name: found})

        return HashingFile(path, closed=finished)

    def json(self, output: str, name: str, value: object) -> None:
        """A file of canonical JSON, indented for people."""
        with self.file(output, name) as file:
            file.write(_json_bytes(value))

    def close(self, output: str) -> None:
        """Declares all parts written. A second call for the same output is our own bug."""
        assert not self._fragment(output).exists(), f"output {output!r} is closed twice"
        parts: dict[str, Part] = {}
        files: dict[str, FileDigest] = {}
        for path in sorted((self.folder / FRAGMENTS / output).glob("*.json")):
            fragment = PartFragment.model_validate_json(path.read_bytes())
            parts[path.name.removesuffix(".json")] = fragment.part
            files |= {f"{output}/{name}": found for name, found in fragment.files.items()}
        assert parts, f"output {output!r} is closed before anything was written to it"
        disk.sync_folder(self.folder / output)
        disk.sync_folder(self.folder)
        whole = OutputFragment(output=output_of(dict(sorted(parts.items()))), files=dict(sorted(files.items())))
        disk.write_whole(self._fragment(output), pretty(whole))

    def closed(self) -> tuple[str, ...]:
        """Outputs that are closed and whose files are there with their sizes, sorted."""
        names = (path.name.removesuffix(".json") for path in (self.folder / FRAGMENTS).glob("[!.]*.json"))
        return tuple(sorted(name for name in names if self._whole(name)))

    def outputs(self) -> dict[str, Output]:
        """The closed outputs, for the manifest."""
        return {name: self._read(name).output for name in self.closed()}

    def files(self) -> dict[str, FileDigest]:
        """The bytes of every file of the closed outputs, by path in the artifact."""
        return {path: found for name in self.closed() for path, found in self._read(name).files.items()}

    def discard(self, output: str) -> None:
        """Removes a half-written output, its fragment first."""
        self._fragment(output).unlink(missing_ok=True)
        disk.remove(self.folder / FRAGMENTS / output)
        disk.remove(self.folder / output)

    def discard_unfinished(self) -> None:
        """Removes every output that was begun and not closed."""
        whole = set(self.closed())
        for path in sorted(self.folder.iterdir()):
            if path.is_dir() and not path.name.startswith(".") and path.name not in whole:
                self.discard(path.name)

    def _fragment(self, output: str) -> Path:
        return self.folder / FRAGMENTS / f"{output}.json"

    def _read(self, output: str) -> OutputFragment:
        path = self._fragment(output)
        try:
            return OutputFragment.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise ArtifactError(f"{path} is damaged; remove {self.folder} and run the stage again") from error

    def _whole(self, output: str) -> bool:
        files = self._read(output).files
        paths = {name: self.folder / name for name in files}
        return all(path.is_file() and path.stat().st_size == files[name].bytes for name, path in paths.items())

    def _part(self, output: str, name: str) -> Path:
        """The folder of an output, made ready for a part."""
        for text in (output, name):
            assert _NAME.fullmatch(text), f"{text!r} is not a file name"
        assert not self._fragment(output).exists(), f"output {output!r} is closed: nothing more may be written to it"
        folder = self.folder / output
        with disk.writing(folder):
            (self.folder / FRAGMENTS / output).mkdir(parents=True, exist_ok=True)
            folder.mkdir(exist_ok=True)
        return folder

    def _finished(self, output: str, name: str, part: Part, files: Mapping[str, FileDigest]) -> None:
        path = self.folder / FRAGMENTS / output / f"{name}.json"
        assert not path.exists(), f"part {name!r} of output {output!r} is written twice"
        disk.write_whole(path, pretty(PartFragment(part=part, files=dict(files))))


def json_part(value: object) -> FilePart:
    """The part that `Draft.json` would make of a value."""
    hasher = Hasher()
    hasher.update(memoryview(_json_bytes(value)))
    return _file_part(hasher.finish())


def _json_bytes(value: object) -> bytes:
    return pretty(value).encode("utf-8")


def _file_part(found: FileDigest) -> FilePart:
    return FilePart(kind="file", digest=found.sha256, xxh3=found.xxh3, bytes=found.bytes)


@final
class ArrayWriter(Writer):
    """A .npy file that grows row by row. The header has a fixed length and is filled in at the close."""

    HEADER_BYTES = 128

    def __init__(
        self,
        path: Path,
        name: str,
        dtype: np.dtype[Any],
        row_shape: tuple[int, ...],
        finished: Callable[[ArrayPart, Mapping[str, FileDigest]], None],
    ) -> None:
        self.rows = 0
        self._name, self._row_shape, self._finished = name, row_shape, finished
        self._dtype = np.dtype(dtype).newbyteorder("<")
        assert self._dtype.name in tensors.DTYPES, f"an array of {dtype} cannot be stored"
        self._file = HashingFile(path, reserved_bytes=self.HEADER_BYTES)

    def write(self, rows: np.ndarray) -> None:
        """Appends rows; the dtype must be that of the array (byte order aside)."""
        assert rows.shape[1:] == self._row_shape, f"rows of shape {rows.shape[1:]}, expected {self._row_shape}"
        assert rows.dtype.newbyteorder("<") == self._dtype, f"rows of {rows.dtype}, expected {self._dtype}"
        self.rows += rows.shape[0]
        if rows.nbytes:
            self._file.write(bytes_of(little_endian(rows)))

    def close(self) -> None:
        """Completes the header and makes the file durable."""
        if self._file.closed:
            return
        shape = (self.rows, *self._row_shape)
        self._file.fill(_npy_header(self._dtype, shape, self.HEADER_BYTES))
        self._file.close()
        found, path = self._file.result(), self._file.path
        identity = tensor_digest(self._name, self._dtype.name, shape, found.sha256)
        part = ArrayPart(kind="array", digest=identity, xxh3=found.xxh3, dtype=self._dtype.name, shape=shape)
        # the header was known last, so the digest of the container has to be taken from the file
        self._finished(part, {path.name: file_digest(path, sha256=False)})

    def abort(self) -> None:
        """Closes the file as it is; the part is not finished."""
        self._file.abort()


def _npy_header(dtype: np.dtype[Any], shape: tuple[int, ...], header_bytes: int) -> bytes:
    """Version 1.0 of numpy's format, padded to a fixed length."""
    fields = f"{{'descr': {dtype.str!r}, 'fortran_order': False, 'shape': {shape!r}, }}".encode("ascii")
    text = fields + b" " * (header_bytes - 11 - len(fields)) + b"\n"
    assert len(text) == header_bytes - 10, f"an array of shape {shape} does not fit the header"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
