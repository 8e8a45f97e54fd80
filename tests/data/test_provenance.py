"""Tracing in both directions, and that a false provenance is found out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.artifacts import table
from engine.artifacts.read import Input, read_array, read_table
from engine.data.documents import read_documents
from engine.data.lookup import find
from engine.data.provenance import check_rows, positions_of_document, rows_of_step, trace_row
from engine.data.tokenizer import load_tokenizer
from engine.spec.errors import ArtifactError, SpecError
from tests.data.built import Built, bpe, build, document, documents, packed, plan, prose, trained


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Input:
    """Two domains that take turns, then characters that the tokenizer has not seen and must spell in bytes."""
    turns = zip(prose("wiki", 20), prose("code", 20), strict=True)
    rare = "".join(chr(0x5000 + 41 * place) for place in range(300))
    return documents(
        tmp_path_factory.mktemp("corpus"), [*(item for turn in turns for item in turn), document("wiki", 99, rare)]
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Input:
    folder = tmp_path_factory.mktemp("model")
    return trained(folder, documents(folder, prose("wiki", 40)), bpe()).outputs["model"]


@pytest.fixture(scope="module")
def rows(corpus: Input, model: Input, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Rows so short that many of them cut a character in two."""
    return packed(tmp_path_factory.mktemp("pack"), corpus, model, plan(row_tokens=7, wiki=2, code=0.5))


def test_the_bytes_of_a_row_are_those_of_its_documents(rows: Built, corpus: Input, model: Input) -> None:
    found, tokenizer = rows.outputs, load_tokenizer(model.folder)
    ids, order = (read_array(found["rows"].folder, name) for name in ("ids", "order"))
    texts = {item.id: item for item in read_documents(corpus)}
    cut_characters = 0
    for position in range(0, len(order), 11):
        row = ids[order[position]]
        for segment in trace_row(found["rows"], found["provenance"], corpus, position):
            origin = texts[segment.document]
            data = origin.text.encode()[segment.byte_begin : segment.byte_end]
            end = segment.first + segment.tokens
            assert tokenizer.decode(row[segment.first : end - segment.separators]) == data
            assert segment.text == data.decode(errors="replace")
            assert (segment.source, segment.locator, segment.licence) == (origin.source, origin.locator, "CC0-1.0")
            cut_characters += "\ufffd" in segment.text
    assert cut_characters > 5


def test_a_document_leads_to_every_place_that_reads_it(rows: Built, corpus: Input) -> None:
    found = rows.outputs
    order = read_array(found["rows"].folder, "order")
    told = pa.Table.from_batches(read_table(found["provenance"].folder, ["row", "document"])).to_pylist()
    for item in list(read_documents(corpus))[::7]:
        stored = {segment["row"] for segment in told if segment["document"] == item.id}
        positions = positions_of_document(found["rows"], found["provenance"], corpus, item.id).tolist()
        assert positions == [position for position, row in enumerate(order.tolist()) if row in stored]
        for position in positions[:3]:
            segments = trace_row(found["rows"], found["provenance"], corpus, position)
            assert item.id in [segment.document for segment in segments]


def test_a_step_is_its_rows_in_order(rows: Built) -> None:
    found = rows.outputs["rows"]
    order = read_array(found.folder, "order")
    assert rows_of_step(found, 1, 4).tolist() == order[:4].tolist()
    assert rows_of_step(found, 3, 4).tolist() == order[8:12].tolist()
    with pytest.raises(SpecError, match="steps 1 to"):
        rows_of_step(found, 0, 4)
    with pytest.raises(SpecError, match="steps 1 to"):
        rows_of_step(found, len(order) // 4 + 1, 4)


def test_lines_and_data_of_a_segment(rows: Built, corpus: Input) -> None:
    segment = trace_row(rows.outputs["rows"], rows.outputs["provenance"], corpus, 0)[0]
    assert segment.data()["document"] == segment.document
    text = "\n".join(segment.lines())
    assert segment.locator in text
    assert f"bytes {segment.byte_begin}-{segment.byte_end}" in text
    assert replace(segment, text="a\x1b[2J\tb\r\nc").lines()[-2:] == ["    | a\\x1b[2J\tb\\x0d", "    | c"]


def test_what_is_not_there_is_told(rows: Built, corpus: Input) -> None:
    found = rows.outputs
    with pytest.raises(SpecError, match="positions 0 to"):
        trace_row(found["rows"], found["provenance"], corpus, 10**9)
    with pytest.raises(SpecError, match="test/corpus@documents has no document ff"):
        positions_of_document(found["rows"], found["provenance"], corpus, "ff")


def test_a_document_that_no_row_holds_has_no_position(model: Input, tmp_path: Path) -> None:
    last = document("code", 99, "")
    corpus = documents(tmp_path, [*prose("code", 3), last])
    tokens = packed(tmp_path, corpus, model, plan(row_tokens=10), run="small").metrics["tokens"]["code"]
    built = packed(tmp_path, corpus, model, plan(row_tokens=tokens - 1)).outputs
    assert positions_of_document(built["rows"], built["provenance"], corpus, last.id).tolist() == []


def test_honest_rows_have_no_problem(rows: Built, corpus: Input, model: Input) -> None:
    found = rows.outputs
    assert check_rows(found["rows"], found["provenance"], corpus, model) == []
    assert check_rows(found["rows"], found["provenance"], corpus, model, every=10) == []


def provenance_with(rows: Built, folder: Path, column: str, change: dict[int, object]) -> Input:
    """The provenance with some values of a column changed."""
    whole = pa.Table.from_batches(read_table(rows.outputs["provenance"].folder))
    values = whole[column].to_pylist()
    for place, value in change.items():
        values[place] = value
    place = whole.schema.get_field_index(column)
    changed = whole.set_column(place, whole.schema.field(column), pa.array(values, whole.schema.field(column).type))
    folder.mkdir(exist_ok=True)
    pq.write_table(changed, folder / "part-00000.parquet")
    return replace(rows.outputs["provenance"], folder=folder)


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("byte_begin", 1, "row 0, segment 0: its ids spell"),
        ("byte_end", 3, "row 0, segment 0: its ids spell"),
        ("first", 1, "row 0: its segments do not tile its 7 tokens"),
        ("tokens", 6, "row 0: its segments do not tile its 7 tokens"),
        ("separators", 1, "row 0, segment 0: its ids spell"),
        ("document", "0" * 32, "row 0, segment 0: document 0000"),
        ("domain", "wiki", "is not in domain wiki"),
        ("row", 5, "row 5 stands where row 0 should"),
    ],
)
def test_a_false_provenance_is_found_out(
    rows: Built, corpus: Input, model: Input, tmp_path: Path, column: str, value: object, problem: str
) -> None:
    false = provenance_with(rows, tmp_path / "false", column, {0: value})
    problems = check_rows(rows.outputs["rows"], false, corpus, model)
    assert problem in problems[0]


def test_changed_ids_and_missing_rows_are_found_out(rows: Built, corpus: Input, model: Input, tmp_path: Path) -> None:
    found = rows.outputs["rows"]
    ids = np.array(read_array(found.folder, "ids"))
    ids[10, 3] ^= 1
    (tmp_path / "a").mkdir()
    np.save(tmp_path / "a" / "ids.npy", ids)
    problems = check_rows(replace(found, folder=tmp_path / "a"), rows.outputs["provenance"], corpus, model)
    assert len(problems) == 1 and problems[0].startswith("row 10, segment ")
    (tmp_path / "b").mkdir()
    np.save(tmp_path / "b" / "ids.npy", np.concatenate([ids[:10], ids[:10] * 0 + 5, ids[10:], ids[:2]]))
    problems = check_rows(replace(found, folder=tmp_path / "b"), rows.outputs["provenance"], corpus, model)
    assert len(problems) >= 10


def test_lookup_reads_only_row_groups_that_can_hold_the_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "GROUP_ROWS", 10)
    schema = pa.schema([pa.field("row", pa.int64(), nullable=False), pa.field("name", pa.string(), nullable=False)])
    columns = [pa.array(range(100), pa.int64()), pa.array([f"n{i % 3}" for i in range(100)])]

    def work(out):  # type: ignore[no-untyped-def]
        with out.table("t", schema) as writer:
            writer.write(pa.RecordBatch.from_arrays(columns, schema=schema))
        out.close("t")
        return {}

    folder = build(tmp_path, "t", work).outputs["t"].folder
    read: list[int] = []
    plain = pq.ParquetFile.read_row_group
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", lambda f, i, *a: (read.append(i), plain(f, i, *a))[1])
    assert [t.to_pydict() for t in find(folder, "row", {42, 45}, ["name"])] == [{"name": ["n0", "n0"]}]
    assert set(read) == {4}
    assert sum(t.num_rows for t in find(folder, "name", {"n1"}, ["row"])) == 33
    assert list(find(folder, "row", (), ["name"])) == []


def test_a_damaged_table_is_told(rows: Built, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no table"):
        list(find(tmp_path, "row", {1}, ["row"]))
    data = (rows.outputs["provenance"].folder / "part-00000.parquet").read_bytes()
    (tmp_path / "part-00000.parquet").write_bytes(data[: len(data) // 2])
    with pytest.raises(ArtifactError, match="is damaged"):
        list(find(tmp_path, "row", {1}, ["row"]))
