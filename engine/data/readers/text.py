"""Plain UTF-8 text by file, by line or by passage."""

from collections.abc import Iterator
from typing import IO, assert_never

from engine.data.readers.bounded import lines, whole
from engine.data.readers.spec import PlainText
from engine.data.readers.unit import Faulty, Skipped, Unit
from engine.spec.errors import ArtifactError

_BOM = b"\xef\xbb\xbf"


def read_text(stream: IO[bytes], where: str, form: PlainText, most_bytes: int) -> Iterator[Unit | Skipped | Faulty]:
    """The units of a member. `where` names it in errors."""
    match form.unit:
        case "file":
            yield Unit("", decode(whole(stream, where, most_bytes), where))
        case "line":
            yield from _lines(stream, where, most_bytes)
        case "passage":
            yield from _passages(stream, where, form.passage_chars, most_bytes)
        case _:
            assert_never(form.unit)


def decode(raw: bytes, where: str) -> str:
    """Text of a whole member, without a byte order mark. ArtifactError names the first byte that is not UTF-8."""
    start = len(_BOM) if raw.startswith(_BOM) else 0
    try:
        return raw[start:].decode("utf-8")
    except UnicodeDecodeError as error:
        raise ArtifactError(_not_utf8(where, start, start + error.start, raw, error)) from error


def decoded_lines(stream: IO[bytes], where: str, most_bytes: int) -> Iterator[tuple[int, str | Faulty]]:
    """(number from 1, text with its line end) for each line; a line ends at a newline character."""
    offset = 0
    for number, raw in lines(stream, where, most_bytes):
        if isinstance(raw, Faulty):
            yield number, raw
            continue
        start = len(_BOM) if number == 1 and raw.startswith(_BOM) else 0
        try:
            yield number, raw[start:].decode("utf-8")
        except UnicodeDecodeError as error:
            message = _not_utf8(f"{where} line {number}", offset + start, start + error.start, raw, error)
            yield number, Faulty("not_utf8", message)
        offset += len(raw)


def _not_utf8(where: str, offset: int, at: int, raw: bytes, error: UnicodeDecodeError) -> str:
    return (
        f"{where}: byte {offset + error.start} (0x{raw[at]:02x}) is not UTF-8 ({error.reason}); convert the file, "
        "leave this member out, or pass such units over with `faults: skip`"
    )


def _lines(stream: IO[bytes], where: str, most_bytes: int) -> Iterator[Unit | Skipped | Faulty]:
    for number, line in decoded_lines(stream, where, most_bytes):
        if isinstance(line, Faulty):
            yield line
            continue
        text = line.rstrip("\r\n")
        yield Unit(f"line={number}", text) if text.strip() else Skipped("blank_line")


def _passages(stream: IO[bytes], where: str, most_chars: int, most_bytes: int) -> Iterator[Unit | Faulty]:
    """Whole lines, as many as fit; a line that alone is too long is a passage."""
    held, begin, end = "", 0, 0
    for _, line in decoded_lines(stream, where, most_bytes):
        if isinstance(line, Faulty):
            yield line
            continue
        if held and len(held) + len(line) > most_chars:
            yield Unit(f"chars={begin}-{end}", held)
            held, begin = "", end
        held += line
        end += len(line)
    if held:
        yield Unit(f"chars={begin}-{end}", held)
