"""Plain UTF-8 text by file, by line or by passage."""

from collections.abc import Iterator
from typing import IO, assert_never

from engine.data.readers.spec import PlainText
from engine.data.readers.unit import Skipped, Unit
from engine.spec.errors import ArtifactError

_BOM = b"\xef\xbb\xbf"


def read_text(stream: IO[bytes], where: str, form: PlainText) -> Iterator[Unit | Skipped]:
    """The units of a member. `where` names it in errors."""
    match form.unit:
        case "file":
            yield Unit("", decode(stream.read(), where))
        case "line":
            yield from _lines(stream, where)
        case "passage":
            yield from _passages(stream, where, form.passage_chars)
        case _:
            assert_never(form.unit)


def decode(raw: bytes, where: str) -> str:
    """Text of a whole member, without a byte order mark. ArtifactError names the first byte that is not UTF-8."""
    return "".join(line for _, line in decoded_lines([raw], where))


def decoded_lines(stream: IO[bytes] | list[bytes], where: str) -> Iterator[tuple[int, str]]:
    """(number from 1, text with its line end) for each line; a line ends at a newline character."""
    offset = 0
    for number, raw in enumerate(stream, 1):
        start = len(_BOM) if offset == 0 and raw.startswith(_BOM) else 0
        try:
            yield number, raw[start:].decode("utf-8")
        except UnicodeDecodeError as error:
            raise ArtifactError(
                f"{where}: byte {offset + start + error.start} (0x{raw[start + error.start]:02x}) is not UTF-8 "
                f"({error.reason}); convert the file, or leave this member out"
            ) from error
        offset += len(raw)


def _lines(stream: IO[bytes], where: str) -> Iterator[Unit | Skipped]:
    for number, line in decoded_lines(stream, where):
        text = line.rstrip("\r\n")
        yield Unit(f"line={number}", text) if text.strip() else Skipped("blank_line")


def _passages(stream: IO[bytes], where: str, most_chars: int) -> Iterator[Unit]:
    """Whole lines, as many as fit; a line that alone is too long is a passage."""
    held, begin, end = "", 0, 0
    for _, line in decoded_lines(stream, where):
        if held and len(held) + len(line) > most_chars:
            yield Unit(f"chars={begin}-{end}", held)
            held, begin = "", end
        held += line
        end += len(line)
    if held:
        yield Unit(f"chars={begin}-{end}", held)
