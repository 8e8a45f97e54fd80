"""A Debian package: an ar archive, of which the tar of installed files is read as a stream; nothing is installed.

Source: deb(5). The ar format has a header of 60 bytes before each member: name 16, ..., size 10, magic 2.
"""

from io import BufferedReader, RawIOBase
from typing import IO, Any, final

from engine.spec.errors import ArtifactError

_MAGIC = b"!<arch>\n"
_HEADER = 60
_DATA = "data.tar"


def data_member(stream: IO[bytes], file: str) -> tuple[str, BufferedReader, int]:
    """(name, stream, bytes) of the member that holds the package's files. ArtifactError for what is no package."""
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise ArtifactError(f"{file} is no Debian package: it does not begin as an ar archive; get it again")
    while header := stream.read(_HEADER):
        if len(header) < _HEADER or header[58:] != b"`\n" or not header[48:58].strip().isdigit():
            raise ArtifactError(f"{file} is a damaged Debian package: a member's header is broken; get it again")
        name, size = header[:16].decode("ascii", "replace").strip().rstrip("/"), int(header[48:58])
        if name.startswith(_DATA):
            return name, BufferedReader(_Slice(stream, size, file), 1 << 16), size
        stream.seek(size + size % 2, 1)
    raise ArtifactError(f"{file} is a damaged Debian package: it has no {_DATA}; get it again")


@final
class _Slice(RawIOBase):
    """The next bytes of a stream, which must all be there."""

    def __init__(self, stream: IO[bytes], size: int, file: str) -> None:
        super().__init__()
        self._stream, self._left, self._file = stream, size, file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._stream.read(min(len(buffer), self._left))
        if not piece and self._left:
            raise ArtifactError(f"{self._file} is truncated: {self._left:,} bytes are missing; get it again")
        buffer[: len(piece)] = piece
        self._left -= len(piece)
        return len(piece)
