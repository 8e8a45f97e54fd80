"""Ingest: one order and one set of bytes, whatever the workers, the listing and the way the file came."""

import bz2
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from engine.data.documents import Document, read_documents
from engine.data.ingest import _tasks
from engine.data.readers.spec import JsonLines, MediaWiki, PlainText, PythonTree, QuestionsYaml
from engine.spec.errors import ArtifactError
from tests.data.built import Built
from tests.data.given import (
    LINES,
    WHEEL,
    Index,
    file_source,
    ingested,
    place,
    point_pip_at,
    put,
    pypi_source,
    serving,
    sha256,
    tar_of,
    zip_of,
)

MEMBERS = {f"tiny/m{n}.txt": f"first of {n}\n\nlast of {n}\n".encode() for n in range(9)}
WIKI = bz2.compress(
    b"<mediawiki><page><title>A</title><ns>0</ns><revision><text>'''A''' is.</text></revision></page></mediawiki>"
)


def texts(built: Built) -> list[Document]:
    return list(read_documents(built.outputs["documents"]))


def bytes_of(built: Built) -> dict[str, bytes]:
    folder = built.outputs["documents"].folder
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_documents_say_where_they_come_from(tmp_path: Path) -> None:
    data = zip_of({"pkg/a.py": b"x = 1\n", "d/wiki.xml.bz2": WIKI, "q.yml": b"conversations:\n- [Hi, Yes]\n"})
    put(tmp_path, "in/all.whl", data)
    put(tmp_path, "in/b.txt", b"one\ntwo\n")
    documents = texts(
        ingested(
            tmp_path,
            "corpus",
            place(tmp_path),
            file_source(data, "in/all.whl", PythonTree(kind="python"), "**.py", name="py"),
            file_source(data, "in/all.whl", MediaWiki(kind="mediawiki"), "d/*", name="wiki"),
            file_source(data, "in/all.whl", QuestionsYaml(kind="questions_yaml", unit="file"), "*.yml", name="qa"),
            file_source(b"one\ntwo\n", "in/b.txt", PlainText(kind="text", unit="passage", passage_chars=4), name="b"),
        )
    )
    assert [(d.source, d.locator, d.text) for d in documents] == [
        ("py", "all.whl!pkg/a.py", "x = 1\n"),
        ("wiki", "all.whl!d/wiki.xml.bz2#page=A", "A is."),
        ("qa", "all.whl!q.yml", "Hi\nYes\n"),
        ("b", "b.txt#chars=0-4", "one\n"),
        ("b", "b.txt#chars=4-8", "two\n"),
    ]
    assert documents[0].group == "pkg/a.py" and documents[1].group == documents[1].id
    assert len({document.id for document in documents}) == 5 and all(len(d.id) == 32 for d in documents)


def test_one_and_two_workers_write_equal_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.data.ingest.TASK_BYTES", 30)
    data = zip_of(MEMBERS)
    put(tmp_path, "in/a.zip", data)
    one, two = (
        ingested(tmp_path, f"w{workers}", place(tmp_path, workers), file_source(data, "in/a.zip", LINES, "tiny/*"))
        for workers in (1, 2)
    )
    assert bytes_of(one) == bytes_of(two)
    assert (
        one.metrics
        == two.metrics
        == {
            "documents": {"books": 18},
            "characters": {"books": 171},
            "of_sources": {"documents": {"here": 18}},
            "skipped": {"blank_line": {"books": 9}},
            "skipped_of_sources": {"blank_line": {"here": 9}},
        }
    )
    assert not list(tmp_path.rglob(".spill"))


def test_the_order_of_members_and_of_folders_means_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    back = dict(reversed(MEMBERS.items()))
    put(tmp_path / "mirror", sha256(tar_of(back)), tar_of(back))
    put(tmp_path, "in/a.tar.gz", tar_of(MEMBERS))
    forth = ingested(tmp_path, "forth", place(tmp_path), file_source(tar_of(MEMBERS), "in/a.tar.gz", LINES, "tiny/**"))
    real = os.listdir
    monkeypatch.setattr(os, "listdir", lambda *place: sorted(real(*place), reverse=True))
    placement = place(tmp_path, 1, tmp_path / "mirror")
    shuffled = ingested(tmp_path, "back", placement, file_source(tar_of(back), "in/a.tar.gz", LINES, "tiny/**"))
    assert [(d.locator, d.text) for d in texts(forth)] == [(d.locator, d.text) for d in texts(shuffled)]
    again = ingested(tmp_path, "again", placement, file_source(tar_of(MEMBERS), "in/a.tar.gz", LINES, "tiny/**"))
    assert bytes_of(again) == bytes_of(forth)


def test_a_mirror_and_the_index_give_equal_artifacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = zip_of(MEMBERS)
    source = pypi_source(data, LINES, "tiny/*")
    put(tmp_path / "mirror", sha256(data), data)
    mirrored = ingested(tmp_path, "mirrored", place(tmp_path / "p", 1, tmp_path / "mirror"), source)
    with serving(Index({WHEEL: data})) as index:
        point_pip_at(monkeypatch, index.url)
        fetched = ingested(tmp_path, "fetched", place(tmp_path / "q"), source)
        assert index.asked[WHEEL] == 1
    assert bytes_of(fetched) == bytes_of(mirrored) and fetched.digests() == mirrored.digests()


def test_the_batches_of_a_reader_leave_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = zip_of(MEMBERS)
    put(tmp_path, "in/a.zip", data)
    source = file_source(data, "in/a.zip", LINES, "tiny/*")
    whole = ingested(tmp_path, "whole", place(tmp_path), source)
    monkeypatch.setattr("engine.data.documents.BATCH_ROWS", 2)
    small = ingested(tmp_path, "small", place(tmp_path), source)
    assert bytes_of(whole) == bytes_of(small)
    assert pq.read_table(small.outputs["documents"].folder).num_rows == 18


def test_an_empty_corpus_is_told(tmp_path: Path) -> None:
    put(tmp_path, "in/a.txt", b"\n\n")
    with pytest.raises(ArtifactError, match="no documents left: the sources hold none"):
        ingested(tmp_path, "corpus", place(tmp_path), file_source(b"\n\n", "in/a.txt"))


def test_a_member_that_two_sources_read_is_told(tmp_path: Path) -> None:
    data = zip_of(MEMBERS)
    put(tmp_path, "in/a.zip", data)
    sources = [file_source(data, "in/a.zip", LINES, "tiny/m1.txt", name=name) for name in ("left", "right")]
    with pytest.raises(ArtifactError, match=r"left and right both read a.zip!tiny/m1.txt"):
        ingested(tmp_path, "corpus", place(tmp_path), *sources)


def test_an_error_in_a_worker_names_the_member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.data.ingest.TASK_BYTES", 30)
    data = zip_of(MEMBERS | {"tiny/m5.txt": b"na\xefve\n"})
    put(tmp_path, "in/a.zip", data)
    with pytest.raises(ArtifactError, match=r"a.zip!tiny/m5.txt line 1: byte 2 \(0xef\) is not UTF-8"):
        ingested(tmp_path, "corpus", place(tmp_path, 2), file_source(data, "in/a.zip", LINES, "tiny/*"))


def test_text_without_utf8_is_passed_over_and_counted(tmp_path: Path) -> None:
    data = b'{"text": "bad \\ud800"}\n{"text": "good"}\n'
    put(tmp_path, "in/a.jsonl", data)
    built = ingested(tmp_path, "corpus", place(tmp_path), file_source(data, "in/a.jsonl", JsonLines(kind="jsonl")))
    assert [document.text for document in texts(built)] == ["good"]
    assert built.metrics["skipped"] == {"lone_surrogate": {"books": 1}}


def test_every_piece_has_a_scratch_file_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.data.ingest.TASK_BYTES", 30)
    put(tmp_path, "in/a.zip", zip_of(MEMBERS))
    put(tmp_path, "in/b.zip", zip_of(MEMBERS | {"more": b"{}\n"}))
    sources = tuple(
        file_source((tmp_path / path).read_bytes(), path, LINES, "tiny/*", name=name)
        for path, name in (("in/a.zip", "one"), ("in/b.zip", "two"))
    )
    targets = [task.target for task in _tasks(sources, place(tmp_path), tmp_path)]
    assert len(targets) > 4
    assert len(set(targets)) == len(targets)
