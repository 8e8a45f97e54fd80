"""Readers: units, their places, and bytes that are not what the format says."""

import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.data.readers.jsonl import read_jsonl
from engine.data.readers.mediawiki import read_mediawiki
from engine.data.readers.parquet import read_parquet
from engine.data.readers.python import module_path
from engine.data.readers.questions_yaml import read_questions
from engine.data.readers.spec import JsonLines, KeyIs, ParquetTable, PlainText, QuestionsYaml
from engine.data.readers.text import read_text
from engine.data.readers.unit import Faulty, Skipped, Unit
from engine.data.readers.wikitext import prose
from engine.spec.errors import ArtifactError

MOST = 1 << 20
FILE = PlainText(kind="text", unit="file")
LINE = PlainText(kind="text", unit="line")


def test_a_byte_order_mark_is_no_text() -> None:
    data = "\ufeffone\r\n\r\ntwo".encode()
    assert list(read_text(io.BytesIO(data), "f", FILE, MOST)) == [Unit("", "one\r\n\r\ntwo")]
    assert list(read_text(io.BytesIO(data), "f", LINE, MOST)) == [
        Unit("line=1", "one"),
        Skipped("blank_line"),
        Unit("line=3", "two"),
    ]


@pytest.mark.parametrize(("data", "offset", "line"), [(b"ok\nna\xefve\n", 5, 2), ("\ufeff".encode() + b"\xff", 3, 1)])
def test_bytes_that_are_not_utf8_are_told_with_member_and_offset(data: bytes, offset: int, line: int) -> None:
    with pytest.raises(ArtifactError, match=f"book.zip!a.txt: byte {offset} "):
        list(read_text(io.BytesIO(data), "book.zip!a.txt", FILE, MOST))
    found = [unit for unit in read_text(io.BytesIO(data), "book.zip!a.txt", LINE, MOST) if isinstance(unit, Faulty)]
    assert [unit.reason for unit in found] == ["not_utf8"]
    assert f"book.zip!a.txt line {line}: byte {offset} " in found[0].message


def test_passages_are_whole_lines_and_join_to_the_text() -> None:
    text = "".join(f"line {n} \u00e9\n" * (n % 3) for n in range(40)) + "x" * 90 + "\nend"
    form = PlainText(kind="text", unit="passage", passage_chars=60)
    units = [unit for unit in read_text(io.BytesIO(text.encode()), "f", form, MOST) if isinstance(unit, Unit)]
    assert "".join(unit.text for unit in units) == text
    for unit in units:
        begin, end = map(int, unit.place.removeprefix("chars=").split("-"))
        assert text[begin:end] == unit.text
        assert len(unit.text) <= 60 or unit.text.count("\n") <= 1


def test_jsonl_goes_deeper_with_dots_and_names_the_line_that_is_wrong() -> None:
    form = JsonLines(kind="jsonl", text="a.b")
    data = b'{"a": {"b": "one"}}\n\n{"a": {"b": "two"}}\n'
    assert list(read_jsonl(io.BytesIO(data), "f", form, MOST)) == [
        Unit("line=1", "one"),
        Skipped("blank_line"),
        Unit("line=3", "two"),
    ]
    for line, reason, told in (
        (b"{", "not_json", "is not JSON"),
        (b"[" * 100_000, "not_json", "is not JSON"),
        (b'{"a": {"c": 1}}', "no_key", "has no 'a.b' (there is: c)"),
        (b'{"a": {"b": 1}}', "no_text", "'a.b' is int, not text"),
    ):
        *_, found, after = read_jsonl(io.BytesIO(data + line + b'\n{"a": {"b": "more"}}'), "f", form, MOST)
        assert isinstance(found, Faulty)
        assert found.reason == reason
        assert found.message.startswith("f line 4")
        assert told in found.message
        assert after == Unit("line=5", "more")


def test_only_the_rows_of_one_set_are_read() -> None:
    form = JsonLines(kind="jsonl", only=KeyIs(key="meta.redpajama_set_name", equals="RedPajamaC4"))
    rows = [{"text": "a", "meta": {"redpajama_set_name": name}} for name in ("RedPajamaC4", "RedPajamaBook")]
    data = "\n".join(json.dumps(row) for row in [*rows, {"text": "c"}]).encode()
    first, other, none = read_jsonl(io.BytesIO(data), "f", form, MOST)
    assert (first, other) == (Unit("line=1", "a"), Skipped("not_RedPajamaC4"))
    assert isinstance(none, Faulty)
    assert none.reason == "no_key"


class OneLine(io.RawIOBase):
    """A hundred million bytes without a line end."""

    left = 100_000_000

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self.left)
        buffer[:count] = b"x" * count
        self.left -= count
        return count


def test_a_line_that_is_too_long_is_never_held() -> None:
    tracemalloc.start()
    (found,) = read_jsonl(io.BufferedReader(OneLine()), "f", JsonLines(kind="jsonl"), MOST)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(found, Faulty)
    assert found.reason == "too_long"
    assert "f line 1 is longer than 1,048,576 bytes" in found.message
    assert peak < 8 << 20


def test_parquet_rows_and_what_is_no_parquet(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"text": ["one", None, "three"], "n": [1, 2, 3]}), path)
    form = ParquetTable(kind="parquet")
    assert list(read_parquet(io.BytesIO(path.read_bytes()), "f", form)) == [
        Unit("row=1", "one"),
        Skipped("null"),
        Unit("row=3", "three"),
    ]
    with pytest.raises(ArtifactError, match="f has no column 'body'; its columns are text, n"):
        list(read_parquet(io.BytesIO(path.read_bytes()), "f", form.replace(text="body")))
    with pytest.raises(ArtifactError, match="column 'n' is int64, not text"):
        list(read_parquet(io.BytesIO(path.read_bytes()), "f", form.replace(text="n")))
    with pytest.raises(ArtifactError, match="f is no whole Parquet file"):
        list(read_parquet(io.BytesIO(path.read_bytes()[:-9]), "f", form))


QUESTIONS = b"""categories: [x]
conversations:
- - Which year?
  - 1912
- - Yes or no?
  - No
- A lone text
"""


def test_questions_are_the_text_as_it_stands_not_what_yaml_makes_of_it() -> None:
    apart = read_questions(io.BytesIO(QUESTIONS), "f", QuestionsYaml(kind="questions_yaml", unit="conversation"), MOST)
    assert list(apart) == [
        Unit("conversation=1", "Which year?\n1912\n"),
        Unit("conversation=2", "Yes or no?\nNo\n"),
        Skipped("lone_utterance"),
    ]
    joined = read_questions(io.BytesIO(QUESTIONS), "f", QuestionsYaml(kind="questions_yaml", unit="file"), MOST)
    assert list(joined) == [Skipped("lone_utterance"), Unit("", "Which year?\n1912\n\nYes or no?\nNo\n")]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"conversations: [a", "is not YAML"),
        (b"- a\n", "has no `conversations:`"),
        (b"other: []\n", "has no `conversations:`"),
        (b"conversations:\n- - &a one\n  - *a\n", "line 2: expected a text without an anchor"),
        (b"conversations:\n- - {a: b}\n", "line 2: expected a text"),
        (b"[" * 600, "is not YAML"),
    ],
)
def test_yaml_that_is_no_list_of_conversations_is_told(data: bytes, told: str) -> None:
    with pytest.raises(ArtifactError, match=told):
        list(read_questions(io.BytesIO(data), "f", QuestionsYaml(kind="questions_yaml", unit="file"), MOST))


@pytest.mark.parametrize(
    ("file", "member"),
    [
        ("networkx-3.3-py3-none-any.whl", "networkx/algorithms/dag.py"),
        ("networkx-3.4.2.tar.gz", "networkx-3.4.2/networkx/algorithms/dag.py"),
        ("networkx-9.tar.gz", "networkx-9/src/networkx/algorithms/dag.py"),
    ],
)
def test_versions_of_a_module_share_a_group(file: str, member: str) -> None:
    assert module_path(file, member) == "networkx/algorithms/dag.py"


EXPORT = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/">
<page><title>Graph</title><ns>0</ns><revision><text>A '''graph''' &amp;lt; [[set]].</text></revision></page>
<page><title>Talk:Graph</title><ns>1</ns><revision><text>Hm.</text></revision></page>
<page><title>Net</title><ns>0</ns><redirect title="Graph" /><revision><text>#REDIRECT</text></revision></page>
</mediawiki>"""


def test_articles_of_the_main_namespace_are_read() -> None:
    assert list(read_mediawiki(io.BytesIO(EXPORT.encode()), "f")) == [
        Unit("page=Graph", "A graph < set."),
        Skipped("other_namespace"),
        Skipped("redirect"),
    ]


def test_an_export_that_is_cut_or_declares_entities_is_refused() -> None:
    with pytest.raises(ArtifactError, match="f is no whole MediaWiki export"):
        list(read_mediawiki(io.BytesIO(EXPORT[:-30].encode()), "f"))
    with pytest.raises(ArtifactError, match="begins with <html>"):
        list(read_mediawiki(io.BytesIO(b"<html></html>"), "f"))
    bomb = b'<!DOCTYPE m [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><mediawiki>&b;</mediawiki>'
    with pytest.raises(ArtifactError, match="declares the entity 'a'"):
        list(read_mediawiki(io.BytesIO(bomb), "f"))


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("'''Bold''' and ''italic''", "Bold and italic"),
        ("[[Tree (graph theory)|trees]] and [[forest]]s", "trees and forests"),
        ("[[Tree (graph theory)|]]", "Tree"),
        ("a [[File:X.png|thumb|A [[caption]] here]] b", "a b"),
        ("[[Category:X]] [[de:Graph]] [[wikt:graph|graph]]", "graph"),
        ("see [http://x.org/ the page] and [http://y.org]", "see the page and"),
        ("a<ref name=x>{{cite|[[b]]}}</ref> b<ref name=x /> c<!-- no -->", "a b c"),
        ("a<ref>never closed b", "anever closed b"),
        ("{{Infobox|a={{b|{{c}}}}|d=[[e]]}}Text", "Text"),
        ("Text {{never closed", "Text never closed"),
        ("Text }} more", "Text more"),
        ("{| class=x\n|-\n| a || b\n{|\n| inner\n|}\n|}\nAfter", "After"),
        ("{{lang|grc|logos}} is {{convert|5|km|mi}} off", "logos is 5 km off"),
        ("Name ({{IPA|x}}; born 1900)", "Name (born 1900)"),
        ("Name ({{IPA|x}}) is", "Name is"),
        ("<nowiki>[[kept]]</nowiki> &amp; &nbsp;so", "[[kept]] & so"),
        (
            "Intro\n\n== Empty ==\n\n== Full ==\n=== Part ===\nBody\n== See also ==\n* [[x]]",
            "Intro\n\nFull\n\nPart\n\nBody",
        ),
        ("* one\n** two\n# three\n: four", "- one\n- two\n- three\nfour"),
        ("a\n\n\n\nb", "a\n\nb"),
        ("E = <math>mc^2</math>.", "E =."),
    ],
)
def test_markup_becomes_the_prose_that_a_reader_sees(markup: str, text: str) -> None:
    assert prose(markup) == text


@pytest.mark.parametrize(
    "piece", ["{{", "[[", "{|\n", "<ref>", "}}", "]]", "[http:", "<!--", "''", "(", "{{a|", "<nowiki>"]
)
def test_damaged_markup_costs_no_more_than_its_length(piece: str) -> None:
    prose(piece * 100_000)
