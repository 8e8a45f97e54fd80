"""What is damaged in a source is an error, or counted where the source says so; nothing is passed over in silence."""

import gzip
import tracemalloc
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Literal

import pytest

from engine.artifacts.read import Inputs
from engine.data.readers.spec import Format, JsonLines, MediaWiki, PlainText
from engine.data.run import run_ingest
from engine.data.spec import Ingest
from engine.spec.errors import ArtifactError
from tests.data.built import Built, build
from tests.data.given import file_source, place, put

LINES = JsonLines(kind="jsonl")
GOOD = b'{"text": "one"}\n'
Faults = Literal["refuse", "skip"]


def ingested(folder: Path, data: bytes, name: str = "a.jsonl", form: Format = LINES, **fields: Any) -> Built:
    folder = Path(mkdtemp(dir=folder))
    put(folder, f"in/{name}", data)
    stage = Ingest(kind="ingest", sources=(file_source(data, f"in/{name}", form, **fields),))
    return build(folder, "corpus", lambda out: run_ingest(stage, Inputs({}), out, place(folder)))


@pytest.mark.parametrize(
    ("bad", "reason", "told"),
    [
        (b"\xff\xfe\n", "not_utf8", "line 2: byte 16"),
        (b"{\n", "not_json", "line 2 is not JSON"),
        (b'{"a": 1}\n', "no_key", "line 2 has no 'text'"),
        (b'{"text": 1}\n', "no_text", "line 2: 'text' is int"),
        (b'{"text": "' + b"x" * 2000 + b'"}\n', "too_long", "line 2 is longer than 1,000 bytes"),
    ],
)
def test_a_bad_line_is_an_error_or_counted(tmp_path: Path, bad: bytes, reason: str, told: str) -> None:
    with pytest.raises(ArtifactError, match=rf"a\.jsonl {told}"):
        ingested(tmp_path, GOOD + bad + GOOD, most_bytes=1000)
    built = ingested(tmp_path, GOOD + bad + GOOD, most_bytes=1000, faults="skip")
    assert built.metrics["documents"] == {"books": 2}
    assert built.metrics["skipped"] == {reason: {"books": 1}}
    assert built.metrics["skipped_of_sources"] == {reason: {"here": 1}}


def test_a_line_of_100_megabytes_is_never_held(tmp_path: Path) -> None:
    """A source that states no limit has one; memory is some times the limit, not the line."""
    data = GOOD + b'{"text": "' + b"x" * 100_000_000 + b'"}\n' + GOOD
    with pytest.raises(ArtifactError, match=r"a\.jsonl line 2 is longer than 67,108,864 bytes"):
        ingested(tmp_path, data)
    tracemalloc.start()
    built = ingested(tmp_path, data, faults="skip", most_bytes=1 << 20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert built.metrics["documents"] == {"books": 2}
    assert built.metrics["skipped"] == {"too_long": {"books": 1}}
    assert peak < 8 << 20


def test_a_truncated_gzip_keeps_what_is_whole(tmp_path: Path) -> None:
    lines = b"".join(b'{"text": "number %d %s"}\n' % (n, bytes([65 + n % 26]) * (n % 50)) for n in range(20_000))
    data = gzip.compress(lines)[:-3000]
    with pytest.raises(ArtifactError, match=r"a\.jsonl\.gz is truncated or damaged"):
        ingested(tmp_path, data, "a.jsonl.gz")
    built = ingested(tmp_path, data, "a.jsonl.gz", faults="skip")
    assert 15_000 < built.metrics["documents"]["books"] < 20_000
    assert built.metrics["skipped"]["damaged"] == {"books": 1}


def test_a_lone_surrogate_is_counted_and_nul_is_text(tmp_path: Path) -> None:
    built = ingested(tmp_path, GOOD + b'{"text": "\\ud800"}\n{"text": "a \\u0000 b"}\n')
    assert built.metrics["documents"] == {"books": 2}
    assert built.metrics["skipped"] == {"lone_surrogate": {"books": 1}}


def test_a_source_without_documents_is_named(tmp_path: Path) -> None:
    put(tmp_path, "in/b.txt", b"text\n")
    put(tmp_path, "in/a.jsonl", b"\n\n")
    lines = PlainText(kind="text", unit="line")
    other = file_source(b"text\n", "in/b.txt", lines, name="other", domain="books")
    stage = Ingest(kind="ingest", sources=(other, file_source(b"\n\n", "in/a.jsonl", LINES)))
    with pytest.raises(ArtifactError, match=r"no documents in here; passed over there: 2 blank_line of here"):
        build(tmp_path, "corpus", lambda out: run_ingest(stage, Inputs({}), out, place(tmp_path)))


def test_two_documents_of_one_id_are_told(tmp_path: Path) -> None:
    page = "<page><title>Same</title><ns>0</ns><revision><text>words</text></revision></page>"
    data = f"<mediawiki>{page}{page}</mediawiki>".encode()
    with pytest.raises(ArtifactError, match=r"two documents of here have the id [0-9a-f]{32}"):
        ingested(tmp_path, data, "a.xml", MediaWiki(kind="mediawiki"))


def test_what_is_stated_stands_beside_what_was_found(tmp_path: Path) -> None:
    built = ingested(tmp_path, GOOD * 3, stated={"documents": 4, "bytes": 100})
    assert built.metrics["of_sources"] == {"documents": {"here": 3}, "stated": {"here": 4}}
