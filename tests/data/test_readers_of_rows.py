"""Rows by `datasets`: data sets in the hub's layouts give the texts that `load_dataset` gives of the whole folder."""

import io
from pathlib import Path
from typing import Literal

import pytest
from datasets import Dataset, load_dataset

from engine.data.readers.rows import read_rows
from engine.data.readers.spec import HubRows, KeyIs
from engine.data.readers.unit import Faulty, Skipped, Unit
from engine.spec.errors import ArtifactError
from tests.data.built import prose

ROWS = [{"text": one.text, "meta": {"set": ("a", "b")[n % 2]}} for n, one in enumerate(prose("hub", 23))]
Builder = Literal["arrow", "csv", "json", "parquet"]


def units(path: Path, form: HubRows) -> list[Unit | Skipped | Faulty]:
    return list(read_rows(io.BytesIO(path.read_bytes()), path.name, form))


def shards(folder: Path, builder: Builder, suffix: str) -> list[Path]:
    """`data/train-0000n-of-00003.<suffix>`, as the hub writes a split."""
    (folder / "data").mkdir()
    made = []
    for number in range(3):
        rows = ROWS[number * 8 : number * 8 + 8]
        path = folder / "data" / f"train-{number:05d}-of-00003.{suffix}"
        if builder == "parquet":
            Dataset.from_list(rows).to_parquet(path)
        elif builder == "json":
            Dataset.from_list(rows).to_json(path)
        else:
            Dataset.from_list([{"text": row["text"]} for row in rows]).to_csv(path)
        made.append(path)
    return made


@pytest.mark.parametrize(("builder", "suffix"), [("parquet", "parquet"), ("json", "jsonl"), ("csv", "csv")])
def test_shards_of_a_split_give_what_the_whole_data_set_gives(tmp_path: Path, builder: Builder, suffix: str) -> None:
    form = HubRows(kind="rows", builder=builder)
    found = [unit for path in shards(tmp_path, builder, suffix) for unit in units(path, form)]
    whole = load_dataset(str(tmp_path), split="train", streaming=True)
    assert [unit.text for unit in found if isinstance(unit, Unit)] == [row["text"] for row in whole]
    assert [unit.text for unit in found if isinstance(unit, Unit)] == [row["text"] for row in ROWS]


def test_a_configuration_in_the_card_names_the_same_files(tmp_path: Path) -> None:
    """The layout with `configs` in the head of README.md; its files are the sources of a spec."""
    (tmp_path / "en").mkdir()
    Dataset.from_list(ROWS[:5]).to_json(tmp_path / "en" / "part.jsonl")
    card = "---\nconfigs:\n- config_name: en\n  data_files:\n  - {split: train, path: en/*.jsonl}\n---\n"
    (tmp_path / "README.md").write_text(card)
    whole = load_dataset(str(tmp_path), "en", split="train", streaming=True)
    found = units(tmp_path / "en" / "part.jsonl", HubRows(kind="rows", builder="json"))
    assert [unit.text for unit in found if isinstance(unit, Unit)] == [row["text"] for row in whole] != []


def test_a_saved_data_set_of_arrow_files_is_read(tmp_path: Path) -> None:
    Dataset.from_list(ROWS).save_to_disk(tmp_path)
    (path,) = tmp_path.glob("*.arrow")
    found = units(path, HubRows(kind="rows", builder="arrow", only=KeyIs(key="meta.set", equals="b")))
    assert found == [Unit(f"row={n + 1}", row["text"]) if n % 2 else Skipped("not_b") for n, row in enumerate(ROWS)]


def test_numbers_in_a_column_of_text_stay_as_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,n\n007,1\n1e3,2\n"a\nb",3\n')
    found = units(tmp_path / "a.csv", HubRows(kind="rows", builder="csv"))
    assert [unit.text for unit in found if isinstance(unit, Unit)] == ["007", "1e3", "a\nb"]


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"PAR1 and no more")
    with pytest.raises(ArtifactError, match=r"bad.parquet: `datasets` cannot read it as parquet"):
        units(bad, HubRows(kind="rows", builder="parquet"))
    rows = tmp_path / "rows.json"
    rows.write_text('{"text": null, "n": 1}\n{"text": "x", "n": 2}\n')
    assert units(rows, HubRows(kind="rows", builder="json")) == [Skipped("null"), Unit("row=2", "x")]
    numbers, absent = HubRows(kind="rows", builder="json", text="n"), HubRows(kind="rows", builder="json", text="t")
    assert [unit.reason for unit in units(rows, numbers) if isinstance(unit, Faulty)] == ["no_text", "no_text"]
    assert "rows.json row 1 has no 't' (there is: n, text)" in str(units(rows, absent)[0])
