"""Croissant descriptions as MLCommons' own library reads them: no error, no warning, and the records of the corpus."""

import json
from pathlib import Path
from typing import Any

import mlcroissant
import pyarrow.parquet as pq
import pytest
from absl import logging

from engine.artifacts import table
from tests.cli.conftest import build, call, edit

pytestmark = [  # what these libraries say of their own code
    pytest.mark.filterwarnings("ignore::DeprecationWarning:rdflib"),
    pytest.mark.filterwarnings("ignore:The inplace keyword"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlcroissant"),
]
DAY = ("--date", "2026-01-02")


def described(root: Path, output: str, folder: str = "") -> tuple[Path, dict[str, Any]]:
    path = root / folder / "croissant.json"
    assert call(root, "croissant", output, "--out", str(path), *DAY).code == 0
    return path, json.loads(path.read_text("utf-8"))


def read(path: Path, monkeypatch: pytest.MonkeyPatch) -> mlcroissant.Dataset:
    """The data set, after a look that nothing was warned of, in its report or in the log."""
    said: list[str] = []
    monkeypatch.setattr(logging, "warning", lambda *words: said.append(str(words)))
    found = mlcroissant.Dataset(path)
    issues = found.metadata.ctx.issues
    assert (set(issues.errors), set(issues.warnings), said) == (set(), set(), [])
    return found


def records(found: mlcroissant.Dataset, name: str) -> list[dict[str, Any]]:
    return [
        {key.partition("/")[2]: value.decode() if isinstance(value, bytes) else value for key, value in row.items()}
        for row in found.records(name)
    ]


@pytest.mark.parametrize("output", ["toy/unique@documents", "toy/split@heldout", "toy/clean@dropped"])
@pytest.mark.parametrize("folder", ["", "data/artifacts/toy"])
def test_records_of_a_table_are_read_back(
    built_once: Path, monkeypatch: pytest.MonkeyPatch, output: str, folder: str
) -> None:
    path, data = described(built_once, output, folder)
    run, _, name = output.partition("@")
    found = records(read(path, monkeypatch), name)
    expected = pq.read_table(built_once / "data/artifacts" / run / name).to_pylist()
    assert len(expected) > 0
    assert [str(row) for row in found] == [str({**row}) for row in expected] or found == expected
    assert data["recordSet"][0]["description"] == f"{len(expected):,} rows"


def test_rows_are_described_with_the_documents_they_are_cut_from(
    built_once: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, data = described(built_once, "toy/rows@rows")
    found = records(read(path, monkeypatch), "provenance")
    assert found == pq.read_table(built_once / "data/artifacts/toy/rows/provenance").to_pylist()
    files = {file["@id"]: file for file in data["distribution"]}
    assert sorted(files) == ["provenance/part-00000.parquet", "rows/chunks.npy", "rows/ids.npy", "rows/order.npy"]
    assert files["rows/ids.npy"]["description"].startswith("token ids, one row a training row: uint16, ")
    assert data["license"] == ["CC0-1.0"]
    documents = {row["document"] for row in found}
    counts = [int(word) for word in data["description"].partition("Documents: ")[2].split() if word.isdecimal()]
    assert sum(counts) == len(documents)


def test_a_file_with_other_bytes_is_refused_by_us_and_by_the_library(built: Path) -> None:
    path, _ = described(built, "toy/unique@documents")
    part = built / "data/artifacts/toy/unique/documents/part-00000.parquet"
    data = bytearray(part.read_bytes())
    data[99] ^= 4
    part.write_bytes(bytes(data))
    with pytest.raises(mlcroissant.GenerationError) as caught:
        records(mlcroissant.Dataset(path), "documents")
    assert "Hash" in str(caught.value.__cause__)
    said = call(built, "croissant", "toy/unique@documents", *DAY)
    assert (said.code, said.out) == (1, "")
    assert "part-00000.parquet has other bytes than those that were sealed" in said.err


def test_several_parts_are_one_record_set(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "GROUP_ROWS", 16)
    monkeypatch.setattr(table, "PART_BYTES", 1)
    edit(built / "specs/toy/toy.yaml", "chars: 40", "chars: 41")
    build(built, "toy", "clean")
    path, data = described(built, "toy/clean@documents")
    parts = [file for file in data["distribution"] if file["@type"] == "cr:FileObject"]
    assert len(parts) > 2
    found = records(read(path, monkeypatch), "documents")
    expected = pq.read_table(built / "data/artifacts/toy/clean/documents").to_pylist()
    assert sorted(found, key=str) == sorted(expected, key=str)
    (built / "elsewhere").mkdir()
    said = call(built, "croissant", "toy/clean@documents", *DAY, "--out", str(built / "elsewhere/c.json"))
    assert said.code == 2
    assert "files; write --out into a folder above" in said.err


def test_origin_and_identity_stand_in_it(built_once: Path) -> None:
    data = call(built_once, "croissant", "toy/split@train", *DAY, "--json").json
    manifest = json.loads((built_once / "data/artifacts/toy/split/manifest.json").read_text())
    assert {item["propertyID"]: item["value"] for item in data["identifier"]} == {
        "recipe": manifest["recipe"],
        "content": manifest["outputs"]["train"]["digest"],
    }
    assert data["version"] == f"1.0.0+{manifest['outputs']['train']['digest'][:12]}"
    assert [source["name"] for source in data["isBasedOn"]] == ["prose", "notes"]
    properties = {item["propertyID"]: item["value"] for item in data["isBasedOn"][0]["identifier"]}
    assert properties["uri"] == "file:texts/prose.txt"
    assert properties["sha256"] == "4ed6fd988bbd5ce5afd987c6af8584387381d3b0e205a3481d745c5cd468a8a0"
    stages = [line.split()[0] for line in data["rai:dataPreprocessingProtocol"]]
    assert stages == ["toy/corpus", "toy/clean", "toy/unique", "toy/split"]
    assert manifest["recipe"] in data["citeAs"]


def test_what_only_a_publisher_knows_can_be_said(built_once: Path, tmp_path: Path) -> None:
    words = ("croissant", "toy/split@train", "--out", str(tmp_path / "c.json"))
    quiet = call(built_once, *words)
    assert quiet.out == f"wrote {tmp_path / 'c.json'}; it does not say what --url and --creator would\n"
    said = ("--url", "https://example.org/toy", "--creator", "A lab", "--version", "2.1.0", *DAY)
    assert call(built_once, *words, *said).out == f"wrote {tmp_path / 'c.json'}\n"
    data = json.loads((tmp_path / "c.json").read_text())
    assert (data["url"], data["version"], data["datePublished"]) == ("https://example.org/toy", "2.1.0", "2026-01-02")
    assert data["creator"] == {"@type": "sc:Organization", "name": "A lab"}
    assert "author = {A lab}" in data["citeAs"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("toy/split",), 2, "toy/split names no output; write toy/split@documents, for instance"),
        (("toy/tokenizer@model",), 2, "toy/tokenizer@model is no corpus"),
        (("toy/split@nothing",), 2, "toy/split has no output 'nothing'"),
        (("toy/train@final",), 1, "toy/train is not built"),
        (("toy/split@train", "--date", "soon"), 2, "--date 'soon': write the day of publication as YYYY-MM-DD"),
        (("toy/split@train", "--out", "nosuch/c.json"), 2, "--out nosuch/c.json: there is no folder nosuch"),
    ],
)
def test_what_cannot_be_described_is_refused(built_once: Path, words: tuple[str, ...], code: int, told: str) -> None:
    said = call(built_once, "croissant", *words)
    assert (said.code, said.out) == (code, "")
    assert told in said.err
