"""Corpora that cannot be built: each ends with exit code 1, says what is wrong and where, and leaves nothing behind."""

import hashlib
import shutil

import pytest

from tests.running import Project

SPEC, PROSE, NOTES = "specs/toy/toy.yaml", "texts/prose.txt", "texts/notes.jsonl"


@pytest.fixture
def data_only(project: Project) -> Project:
    """The toy up to its packed rows, built, but with its sources still to be fetched."""
    text = project.spec.read_text(encoding="utf-8")
    project.spec.write_text(text[: text.index("  train:\n")], encoding="utf-8")
    shutil.rmtree(project.root / "data" / "sources")
    return project


def replaced(project: Project, file: str, data: bytes) -> None:
    """Gives a source other bytes, and the spec their sha256."""
    path = project.root / file
    project.edit(SPEC, sha256(path.read_bytes()), sha256(data))
    path.write_bytes(data)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def refused(project: Project, stage: str) -> str:
    """What a stage says that cannot be built."""
    project.facsimile("compile")
    before = project.files()
    said = project.build(stage, code=1)
    assert said.count("error: ") == 1
    assert "Traceback" not in said
    assert [file for file in before if file not in project.files()] == []
    assert not project.artifact(f".{stage}.partial").exists()
    return said


def test_an_empty_corpus(data_only: Project) -> None:
    replaced(data_only, PROSE, b"")
    replaced(data_only, NOTES, b"")
    assert "no documents left: the sources hold none" in refused(data_only, "corpus")


def test_a_corpus_of_which_nothing_is_left(data_only: Project) -> None:
    data_only.edit(SPEC, "chars: 40", "chars: 100000")
    assert "no documents left: clean dropped all of toy/corpus: " in refused(data_only, "clean")


def test_a_corpus_smaller_than_one_row(data_only: Project) -> None:
    data_only.edit(SPEC, "row_tokens: 32", "row_tokens: 1000000")
    assert "too small for one row of 1000000 tokens: notes (" in refused(data_only, "rows")


def test_a_truncated_source_with_the_right_name(undisturbed: Project, data_only: Project) -> None:
    path = data_only.root / PROSE
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    data_only.remove("corpus")
    said = refused(data_only, "corpus")
    assert f"the file {path} gave other bytes than the spec says" in said
    assert f"expected sha256 {sha256(whole)}, got {sha256(whole[:-100])}" in said
    aside = data_only.root / "data" / "sources" / "rejected" / f"{sha256(whole[:-100])}-prose.txt"
    assert f"kept as {aside}" in said
    assert aside.read_bytes() == whole[:-100]
    path.write_bytes(whole)
    data_only.build("corpus")
    assert data_only.manifests("corpus") == undisturbed.manifests("corpus")


def test_a_wrong_sha256_in_the_spec(data_only: Project) -> None:
    true, wrong = sha256((data_only.root / NOTES).read_bytes()), "f" * 64
    data_only.edit(SPEC, true, wrong)
    said = refused(data_only, "corpus")
    assert f"the file {data_only.root / NOTES} gave other bytes than the spec says" in said
    assert f"expected sha256 {wrong}, got {true}" in said
