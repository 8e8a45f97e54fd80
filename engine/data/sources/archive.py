"""Members of wheels, zip and tar files: read one by one, never extracted, and nothing hostile let through.

Refused, with the name of the member: absolute names, names that climb, two members of one name, and, among those
that are asked for, links, devices, encrypted members and whatever unpacks to more than it plausibly can.
"""

import bz2
import gzip
import lzma
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import IO, Any, TypeVar, final

from engine.data.sources.deb import data_member
from engine.spec.errors import ArtifactError

ZIP_NAMES = (".whl", ".zip")
TAR_NAMES = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar")
DEB_NAMES = (".deb",)
FREE_BYTES = 64 << 20  # unpacked bytes that need no explanation
MOST_RATIO = 200  # assumed: text and code unpack to 3 to 30 times their size, a bomb to 1000 and more
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError)
T = TypeVar("T")


@final
@dataclass(frozen=True, slots=True)
class Member:
    """A member that can be read on its own: in the zip file at `path`, or as the file at `path`."""

    name: str
    bytes: int
    path: Path
    zipped: bool


def select(path: Path, file: str, patterns: Sequence[str], spool: Path) -> tuple[Member, ...]:
    """The members that the patterns name, sorted by name. `file` is the name of the archive at its origin.

    A tar can only be read from its beginning, so its chosen members are copied to `spool`, under numbers.
    ArtifactError for a pattern that matches nothing, and for all that the first lines of this file list.
    """
    wanted = tuple(pattern_of(pattern) for pattern in patterns)
    names: list[str] = []
    with broken_archive(path, file):
        if file.endswith(ZIP_NAMES):
            found = _zip_members(path, file, wanted, names)
        elif file.endswith(TAR_NAMES):
            with path.open("rb") as packed:
                found = _tar_members(unpacked(packed, file, path.stat().st_size), file, wanted, names, spool)
        elif file.endswith(DEB_NAMES):
            with path.open("rb") as packed:
                name, data, size = data_member(packed, file)
                found = _tar_members(unpacked(data, f"{file}!{name}", size), file, wanted, names, spool, links=True)
        else:
            raise ArtifactError(
                f"{file} is no archive that can be read; one of {', '.join(ZIP_NAMES + TAR_NAMES + DEB_NAMES)} can"
            )
    for text, pattern in zip(patterns, wanted, strict=True):
        if not any(pattern.fullmatch(member.name) for member in found):
            near = ", ".join(get_close_matches(text, names, 3, 0.5)) or "nothing like it"
            raise ArtifactError(f"{file} has no member {text!r}; near it: {near}")
    return tuple(sorted(found, key=lambda member: member.name))


def pattern_of(text: str) -> re.Pattern[str]:
    """`*` is any text without '/', `**` any text, `**/` any folders or none; the rest stands for itself."""
    parts = re.split(r"(\*\*/|\*\*|\*)", text)
    rules = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}
    return re.compile("".join(rules.get(part, re.escape(part)) for part in parts), re.DOTALL)


def _zip_members(path: Path, file: str, wanted: Sequence[re.Pattern[str]], names: list[str]) -> list[Member]:
    found = []
    with zipfile.ZipFile(path) as archive:
        for entry in _checked(archive.infolist(), _zip_name, file):
            names.append(entry.filename)
            if entry.is_dir() or not any(pattern.fullmatch(entry.filename) for pattern in wanted):
                continue
            _refuse_special(entry, file)
            found.append(Member(entry.filename, entry.file_size, path, zipped=True))
    return found


def _refuse_special(entry: zipfile.ZipInfo, file: str) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    where = f"{file}!{entry.filename}"
    if kind not in (0, stat.S_IFREG):
        raise ArtifactError(f"{where} is a link or a device; only plain members are read")
    if entry.flag_bits & 1:
        raise ArtifactError(f"{where} is encrypted; only plain members are read")
    if entry.file_size > allowed_bytes(entry.compress_size):
        raise ArtifactError(_bomb(where, entry.file_size, entry.compress_size))


def _tar_members(
    stream: IO[bytes],
    file: str,
    wanted: Sequence[re.Pattern[str]],
    names: list[str],
    spool: Path,
    links: bool = False,
) -> list[Member]:
    """`links` passes over symbolic links, of which a Debian package has many: what they point to has its own name."""
    found: list[Member] = []
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for entry in _checked(tar, _tar_name, file):
            name = _tar_name(entry)
            names.append(name)
            if entry.isdir() or not any(pattern.fullmatch(name) for pattern in wanted):
                continue
            if links and entry.issym():
                continue
            if not entry.isreg() or entry.issparse():
                raise ArtifactError(f"{file}!{name} is a link, a device or sparse; only plain members are read")
            copy = spool / f"{len(found):08d}"
            content = tar.extractfile(entry)
            assert content is not None
            with copy.open("xb") as target:
                shutil.copyfileobj(content, target, 1 << 20)
            found.append(Member(name, entry.size, copy, zipped=False))
    return found


def _zip_name(entry: zipfile.ZipInfo) -> str:
    return entry.filename


def _tar_name(entry: tarfile.TarInfo) -> str:
    return entry.name.removeprefix("./") + ("/" if entry.isdir() else "")


def _checked(entries: Iterable[T], name_of: Callable[[T], str], file: str) -> Iterator[T]:
    """The entries, as long as none of them has a name that could do harm."""
    seen: set[str] = set()
    for entry in entries:
        name = name_of(entry)
        if name.startswith("/") or "\\" in name or "\0" in name or re.match(r"[A-Za-z]:", name):
            raise ArtifactError(f"{file}!{name!r} is an absolute or foreign name; nothing was read from this archive")
        if ".." in name.split("/"):
            raise ArtifactError(f"{file}!{name!r} climbs out of its archive; nothing was read from it")
        if name in seen and not name.endswith("/"):
            raise ArtifactError(f"{file} has two members {name!r}; which one is meant cannot be told")
        seen.add(name)
        yield entry


def contents(members: Sequence[Member], file: str) -> Iterator[tuple[Member, IO[bytes]]]:
    """Each member with its bytes; a member that is itself .gz, .bz2 or .xz comes unpacked.

    The members are of one archive. Reading raises ArtifactError where the bytes are damaged or a bomb.
    """
    with ExitStack() as stack, broken_archive(members[0].path, file):
        archive = stack.enter_context(zipfile.ZipFile(members[0].path)) if members[0].zipped else None
        for member in members:
            with archive.open(member.name) if archive else member.path.open("rb") as packed:
                where = f"{file}!{member.name}" if member.name else file
                yield member, unpacked(packed, where, member.bytes)


def unpacked(packed: IO[bytes], where: str, packed_bytes: int) -> BufferedReader:
    """A stream without its .gz, .bz2, .xz or .zst compression, as the name tells."""
    if where.endswith((".gz", ".tgz")):
        return _guarded(gzip.open(packed), where, packed_bytes)
    if where.endswith(".bz2"):
        return _guarded(bz2.open(packed), where, packed_bytes)
    if where.endswith(".xz"):
        return _guarded(lzma.open(packed), where, packed_bytes)
    if where.endswith(".zst"):
        return _guarded(_zstandard(packed), where, packed_bytes)
    return _guarded(packed, where, None)


def _zstandard(packed: IO[bytes]) -> Any:
    try:
        from engine.data.sources.zstd import ZstdStream
    except ImportError as error:
        raise ArtifactError("a .zst file wants zstandard: pip install 'facsimile-llm[data]'") from error
    return ZstdStream(packed)


def _guarded(stream: Any, where: str, packed_bytes: int | None) -> BufferedReader:
    return BufferedReader(_Guarded(stream, where, packed_bytes), 1 << 16)


@final
class _Guarded(RawIOBase):
    """A stream whose damage is told as an ArtifactError, and which ends when it becomes a bomb."""

    def __init__(self, stream: Any, where: str, packed_bytes: int | None) -> None:
        super().__init__()
        self._stream, self._where, self._packed_bytes = stream, where, packed_bytes
        self._got = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with broken_archive(None, self._where):
            piece = self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        self._got += len(piece)
        if self._packed_bytes is not None and self._got > allowed_bytes(self._packed_bytes):
            raise ArtifactError(_bomb(self._where, self._got, self._packed_bytes))
        return len(piece)


def allowed_bytes(packed_bytes: int) -> int:
    """How many bytes so many packed ones may become."""
    return max(FREE_BYTES, MOST_RATIO * packed_bytes)


def _bomb(where: str, unpacked_bytes: int, packed_bytes: int) -> str:
    return (
        f"{where} unpacks from {packed_bytes:,} to {unpacked_bytes:,} bytes or more, which text does not: at most "
        f"{MOST_RATIO} times its size is read (or {FREE_BYTES:,} bytes); unpack it by hand if you trust it"
    )


@contextmanager
def broken_archive(path: Path | None, where: str) -> Iterator[None]:
    """Tells damage that a library found as an ArtifactError with the place."""
    try:
        yield
    except _BROKEN as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's trouble: an archive has no errno
        at = f" (kept as {path})" if path else ""
        raise ArtifactError(
            f"{where}{at} is truncated or damaged: {error or type(error).__name__}; get a whole copy of it, and write "
            "the sha256 of that into the spec"
        ) from error
