"""HTML, LaTeX, manual pages, WARC and WET to text; what is damaged is a fault with its place."""

import gzip
import io

import pytest

from engine.data.readers.html import read_html
from engine.data.readers.latex import plain as latex
from engine.data.readers.man import plain as man
from engine.data.readers.man import read_man
from engine.data.readers.spec import Html, Warc, Wet
from engine.data.readers.unit import Faulty, Skipped, Unit
from engine.data.readers.warc import read_warc, read_wet
from engine.spec.errors import ArtifactError
from tests.data.mirrored import mirrored

MOST = 1 << 20
HTML = Html(kind="html")


def html(raw: bytes) -> Unit | Skipped | Faulty:
    (unit,) = read_html(io.BytesIO(raw), "site.zip!a.html", HTML, MOST)
    return unit


def test_a_page_without_its_markup() -> None:
    raw = b"<html><head><title>T</title><style>p{}</style></head><body><h1>Head</h1><p>One &amp; two</p></body></html>"
    assert html(raw) == Unit("", "Head\n\nOne & two")
    assert html(b"<html><body><script>x</script></body></html>") == Skipped("no_text")
    with pytest.raises(ArtifactError, match=r"a\.html is longer than 4 bytes"):
        list(read_html(io.BytesIO(raw), "a.html", HTML, 4))


@pytest.mark.parametrize(
    ("meta", "codec"),
    [("", "utf-8"), ("euc-kr", "cp949"), ("shift_jis", "cp932"), ("iso-8859-1", "cp1252"), ("gb2312", "gb18030")],
)
def test_a_page_in_the_encoding_that_it_names(meta: str, codec: str) -> None:
    word = {"utf-8": "na\u00efve", "cp949": "\ub620\ub9c8", "cp932": "\u4e2d\u6587", "cp1252": "\u20ac na\u00efve"}
    text = word.get(codec, "\u4e2d\u6587") + " and more plain words"
    head = f'<meta charset="{meta}">' if meta else ""
    assert html(f"<html><head>{head}</head><body><p>{text}</p></body></html>".encode(codec)) == Unit("", text)


def test_latex_as_redpajama_has_it() -> None:
    source = r"""% a comment
\documentclass{article}
\newcommand{\model}{Facsimile}
\def\half{\frac{1}{2}}
\newcommand{\two}[1]{#1#1}
\begin{document}
\title{T}\maketitle
\section{One} % another
The \model{} is 100\% exact, \half of \modelled{} and \two{a}.
%gone
Next.
\begin{thebibliography}{9} \bibitem{x} no \end{thebibliography}
\end{document}
"""
    assert latex(source) == (
        "\\section{One} \nThe Facsimile{} is 100\\% exact, \\frac{1}{2} of \\modelled{} and \\two{a}.\nNext.\n"
    )
    assert latex("no sections at all") == "no sections at all\n"


def test_latex_takes_time_linear_in_its_length() -> None:
    for piece in (r"\newcommand{\a}{", "{", r"\def\b{", "%", r"\begin{", "\\"):
        assert isinstance(latex(piece * 100_000), str)


MAN = r"""'\" t
.TH LS 1 2020
.de Xx
never shown
..
.SH NAME
ls \- list directory \fIcontents\fP
.SH "THE OPTIONS"
.TP
.BR \-a ", " \-\-all
do not ignore entries
starting with\ \(bu
.PP
.nf
as  it
  is
.fi
.\" a comment
.so man1/other.1
The end\c
"""
MDOC = """.Dd May 1
.Dt CAT 1
.Sh NAME
.Nm cat
.Nd concatenate files
.Sh DESCRIPTION
.Bl -tag
.It Fl n Ar count
Number the
.Em lines .
.El
"""


def test_manual_pages_of_both_macro_packages() -> None:
    assert man(MAN) == (
        "NAME\n\nls - list directory contents\n\nTHE OPTIONS\n\n-a, --all do not ignore entries starting with *\n\n"
        "as  it\n  is\n\nThe end\n"
    )
    assert man(MDOC) == "NAME\n\ncat concatenate files\n\nDESCRIPTION\n\n-n count\nNumber the lines .\n"
    assert list(read_man(io.BytesIO(b".so man3/x.3\n"), "x.3", MOST)) == [Skipped("no_text")]


def record(kind: str, body: bytes, uri: str = "http://example.org/a", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    form = "text/plain" if kind == "conversion" else f"application/http; msgtype={kind}"
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:0>\r\nWARC-Date: 2020-01-01T00:00:00Z\r\n"
        f"WARC-Target-URI: {uri}\r\nContent-Type: {form}\r\nContent-Length: {size}\r\n\r\n"
    )
    return head.encode() + body + b"\r\n\r\n"


def http(body: bytes, status: str = "200 OK", kind: str = "text/html") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n\r\n".encode() + body


PAGE = b"<html><body><p>some words</p></body></html>"


def warc(*records: bytes) -> list[Unit | Skipped | Faulty]:
    return list(read_warc(io.BytesIO(b"".join(records)), "crawl.warc", Warc(kind="warc"), MOST))


def test_responses_with_pages_are_documents() -> None:
    found = warc(
        record("request", b"GET / HTTP/1.1\r\n\r\n"),
        record("response", http(PAGE), "http://example.org/b"),
        record("response", http(PAGE, "404 Not Found")),
        record("response", http(b"{}", kind="application/json")),
        record("response", http(b"<html></html>")),
    )
    assert found == [
        Skipped("no_response"),
        Unit("record=2:http://example.org/b", "some words", "example.org"),
        Skipped("not_status_200"),
        Skipped("not_html"),
        Skipped("no_text"),
    ]


@pytest.mark.parametrize("off", [-20, 20])
def test_a_record_with_a_wrong_length_ends_the_file_with_a_fault(off: int) -> None:
    body = http(PAGE)
    first, *others = warc(
        record("response", body), record("response", body, length=len(body) + off), record("response", body)
    )
    assert first == Unit("record=1:http://example.org/a", "some words", "example.org")
    assert isinstance(others[-1], Faulty)
    assert others[-1].reason == "bad_record"
    assert "length" in others[-1].message


def test_a_last_record_that_is_short_is_a_fault() -> None:
    body = http(PAGE)
    *_, last = warc(record("response", body), record("response", body)[:-30])
    assert isinstance(last, Faulty)
    assert last.reason == "short_record"
    assert "record 2 states" in last.message


def test_wet_records() -> None:
    given = record("conversion", "caf\u00e9".encode()) + record("warcinfo", b"x") + record("conversion", b"\xff")
    found = list(read_wet(io.BytesIO(given), "crawl.wet", Wet(kind="wet"), MOST))
    assert found[:2] == [Unit("record=1:http://example.org/a", "caf\u00e9", "example.org"), Skipped("no_conversion")]
    assert isinstance(found[2], Faulty)
    assert found[2].reason == "not_utf8"


def test_a_real_crawl() -> None:
    path = mirrored("web/cc-whirlwind/whirlwind.warc.gz")
    with gzip.open(path) as stream:
        units = [unit for unit in read_warc(stream, path.name, Warc(kind="warc"), MOST) if isinstance(unit, Unit)]
    assert [unit.group for unit in units] == ["an.wikipedia.org"]
    assert "Escopete" in units[0].text
    with gzip.open(path.with_name("whirlwind.warc.wet.gz")) as stream:
        texts = [unit for unit in read_wet(stream, path.name, Wet(kind="wet"), MOST) if isinstance(unit, Unit)]
    assert len(texts) == 1
    assert "Escopete" in texts[0].text
