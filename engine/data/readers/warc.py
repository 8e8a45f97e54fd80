"""WARC and WET files by fastwarc: a document for each page of HTML, or for each text that was extracted from one."""

import shutil
import tempfile
from collections.abc import Iterator
from typing import IO, Any
from urllib.parse import urlsplit

from fastwarc.warc import ArchiveIterator, WarcRecordType

from engine.data.readers.html import page
from engine.data.readers.spec import Warc, Wet
from engine.data.readers.unit import Faulty, Skipped, Unit

_HTML = ("text/html", "application/xhtml+xml")


def read_warc(stream: IO[bytes], where: str, form: Warc, most_bytes: int) -> Iterator[Unit | Skipped | Faulty]:
    """The responses that are pages of HTML with status 200; other records are passed over."""
    for number, record, body in _records(stream, where, most_bytes):
        if isinstance(body, Faulty):
            yield body
        elif record.record_type != WarcRecordType.response or not record.is_http:
            yield Skipped("no_response")
        elif record.http_headers.status_code != 200:
            yield Skipped("not_status_200")
        elif (record.http_content_type or "").lower() not in _HTML:
            yield Skipped("not_html")
        else:
            place, group = _place(record, number), _host(record)
            yield page(body, f"{where} {place}", place, group, form.main_content, record.http_charset or "")


def read_wet(stream: IO[bytes], where: str, form: Wet, most_bytes: int) -> Iterator[Unit | Skipped | Faulty]:  # noqa: ARG001
    """The conversion records."""
    for number, record, body in _records(stream, where, most_bytes):
        if isinstance(body, Faulty):
            yield body
        elif record.record_type != WarcRecordType.conversion:
            yield Skipped("no_conversion")
        else:
            yield _text(body, where, _place(record, number), _host(record))


def _text(body: bytes, where: str, place: str, group: str) -> Unit | Faulty:
    try:
        return Unit(place, body.decode("utf-8"), group)
    except UnicodeDecodeError as error:
        message = (
            f"{where} {place}: byte {error.start} of the record is not UTF-8; get the file again, or use `faults: skip`"
        )
        return Faulty("not_utf8", message)


def _records(stream: IO[bytes], where: str, most_bytes: int) -> Iterator[tuple[int, Any, bytes | Faulty]]:
    """(number from 1, record, its content); after a record whose length is wrong nothing can be told from another."""
    with tempfile.TemporaryFile() as copy:  # fastwarc goes back in its file
        shutil.copyfileobj(stream, copy, 1 << 20)
        copy.seek(0)
        yield from _read(iter(ArchiveIterator(copy, parse_http=True)), where, most_bytes)


def _read(records: Iterator[Any], where: str, most_bytes: int) -> Iterator[tuple[int, Any, bytes | Faulty]]:
    number = 0
    while True:
        try:
            record = next(records, None)
            if record is None:
                return
            number += 1
            body = record.reader.read(min(most_bytes + 1, max(record.content_length, 1)))
        except OSError as error:
            message = (
                f"{where} record {number + 1}: {error}; the length that the record before it states is wrong, or the "
                "file is damaged: get it again, or keep what stands before with `faults: skip`"
            )
            yield number + 1, None, Faulty("bad_record", message)
            return
        yield number, record, _checked(body, record, f"{where} record {number}", most_bytes)


def _checked(body: bytes, record: Any, where: str, most_bytes: int) -> bytes | Faulty:
    if len(body) > most_bytes:
        message = (
            f"{where} is longer than {most_bytes:,} bytes; raise `most_bytes` of its source, or use `faults: skip`"
        )
        return Faulty("too_long", message)
    if len(body) < record.content_length:
        message = f"{where} states {record.content_length:,} bytes and has {len(body):,}; get the file again"
        return Faulty("short_record", message)
    return body


def _place(record: Any, number: int) -> str:
    return f"record={number}:{_uri(record)}"


def _uri(record: Any) -> str:
    return str(record.headers.get("WARC-Target-URI") or "").strip("<>")


def _host(record: Any) -> str:
    return urlsplit(_uri(record)).hostname or ""
