"""Rows found by value and by prefix, in tables of several row groups and parts."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.lookup import find, nearest, starting
from engine.spec.errors import ArtifactError

NAMES = ["ab", "abc", "abd", "b", "ba\u00e9", "ba\U0001f600", "c", "abc"]


def table(folder: Path, names: list[str]) -> Path:
    """Two parts, two rows a group."""
    folder.mkdir(exist_ok=True)
    half = len(names) // 2
    for number, part in enumerate((names[:half], names[half:])):
        rows = pa.table({"name": pa.array(part, pa.string()), "row": pa.array(range(len(part)), pa.int64())})
        pq.write_table(rows, folder / f"part-{number:05d}.parquet", row_group_size=2, write_page_checksum=True)
    return folder


def test_rows_by_value(tmp_path: Path) -> None:
    folder = table(tmp_path / "t", NAMES)
    found = [row for rows in find(folder, "name", {"abc", "c", "x"}, ["name", "row"]) for row in rows.to_pylist()]
    assert found == [{"name": "abc", "row": 1}, {"name": "c", "row": 2}, {"name": "abc", "row": 3}]
    assert list(find(folder, "name", set(), ["row"])) == []
    assert list(find(folder, "row", {9}, ["row"])) == []


@given(
    st.lists(st.text("ab\u00e9\U0001f600", max_size=4), min_size=2, max_size=9),
    st.text("ab\u00e9\U0001f600", max_size=4),
)
def test_prefixes_are_those_of_python(tmp_path_factory: pytest.TempPathFactory, names: list[str], text: str) -> None:
    folder = table(tmp_path_factory.mktemp("prefix") / "t", names)
    assert starting(folder, "name", text) == sorted({name for name in names if name.startswith(text)})
    shared = max(n for n in range(len(text) + 1) if n == 0 or any(name.startswith(text[:n]) for name in names))
    assert nearest(folder, "name", text) == (
        sorted({n for n in names if n.startswith(text[:shared])}) if shared else []
    )


def test_no_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no table"):
        starting(tmp_path, "name", "a")
    table(tmp_path, NAMES)
    (tmp_path / "part-00001.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(ArtifactError, match=r"part-00001.parquet is damaged"):
        nearest(tmp_path, "name", "abx")
