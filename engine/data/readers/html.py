"""HTML to text by resiliparse, which Common Crawl's own tools use; encodings as the HTML standard guesses them."""

import codecs
from collections.abc import Iterator
from typing import IO

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import detect_encoding

from engine.data.readers.bounded import whole
from engine.data.readers.spec import Html
from engine.data.readers.unit import Faulty, Skipped, Unit

# the WHATWG encoding standard: these names mean the wider code pages
_AS_BROWSERS_READ = {
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "ascii": "cp1252",
}


def read_html(stream: IO[bytes], where: str, form: Html, most_bytes: int) -> Iterator[Unit | Skipped | Faulty]:
    """The page of a member."""
    yield page(whole(stream, where, most_bytes), where, "", "", form.main_content)


def page(
    raw: bytes, where: str, place: str, group: str, main_content: bool, charset: str = ""
) -> Unit | Skipped | Faulty:
    """A page as one unit; without text it is passed over, and it is a fault where no encoding fits."""
    html = decoded(raw, charset)
    if html is None:
        return Faulty("no_encoding", f"{where}: no encoding fits its bytes; leave it out, or use `faults: skip`")
    text = extract_plain_text(html, main_content=main_content)
    return Unit(place, text, group) if text.strip() else Skipped("no_text")


def decoded(raw: bytes, charset: str = "") -> str | None:
    """UTF-8 where it fits, else what the server or the page says, else what the bytes look like."""
    for name in ("utf-8-sig", charset, detect_encoding(raw, from_html_meta=True) or ""):
        text = _strictly(raw, name) if name else None
        if text is not None:
            return text
    return None


def _strictly(raw: bytes, name: str) -> str | None:
    try:
        codec = codecs.lookup(name).name
        return raw.decode(_AS_BROWSERS_READ.get(codec, codec))
    except (UnicodeDecodeError, LookupError):
        return None
