"""Zstandard streams of one frame or many, whose damage and whose missing end are told as an OSError."""

from typing import IO, Any, final

import zstandard

_PIECE = 1 << 16
_MOST_WINDOW = 1 << 31  # bytes; what `zstd --long=31` asks for, as SlimPajama's files do not


@final
class ZstdStream:
    """Decompressed bytes, read in order."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed, self._rest, self._held = packed, b"", b""
        self._frame: Any = None

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end. OSError when the stream is damaged or ends inside a frame."""
        while not self._held:
            piece = self._rest or self._packed.read(_PIECE)
            if not piece:
                if self._frame is not None:
                    raise OSError("it ends inside a frame")
                return b""
            self._held = self._decompressed(piece)
        taken, self._held = self._held[:size], self._held[size:]
        return taken

    def _decompressed(self, piece: bytes) -> bytes:
        if self._frame is None:
            self._frame = zstandard.ZstdDecompressor(max_window_size=_MOST_WINDOW).decompressobj()
        try:
            found = bytes(self._frame.decompress(piece))
        except zstandard.ZstdError as error:
            raise OSError(str(error)) from error
        self._rest = b""
        if self._frame.eof:
            self._rest = bytes(self._frame.unused_data)
            self._frame = None
        return found
