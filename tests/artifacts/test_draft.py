"""Outputs are written part by part, by any process, and only a closed one counts."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from engine.artifacts.draft import Draft
from engine.artifacts.manifest import ArrayPart
from engine.artifacts.read import read_array, read_schema, read_table
from engine.spec.errors import ArtifactError
from tests.artifacts.small import SCHEMA, write_outputs


def test_an_output_counts_when_it_is_closed(tmp_path: Path) -> None:
    draft = Draft(tmp_path)
    draft.json("state", "state.json", {})
    assert draft.closed() == ()
    draft.close("state")
    assert draft.closed() == ("state",)
    assert Draft(tmp_path).outputs() == draft.outputs()


def test_another_process_may_write_a_part(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np, pathlib; from engine.artifacts.draft import Draft\n"
        "Draft(pathlib.Path(sys.argv[1])).tensors('model', 'rank-1', {'w': np.ones(3)})"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=Path(__file__).parents[2])
    draft = Draft(tmp_path)
    draft.tensors("model", "rank-0", {"w": np.zeros(3)})
    draft.close("model")
    assert list(draft.outputs()["model"].parts) == ["rank-0", "rank-1"]


def test_the_digest_of_an_output_does_not_know_the_order_of_its_parts(tmp_path: Path) -> None:
    for folder, names in (("a", ("x", "y")), ("b", ("y", "x"))):
        for name in names:
            Draft(tmp_path / folder).tensors("model", name, {"w": np.full(2, ord(name))})
        Draft(tmp_path / folder).close("model")
    assert Draft(tmp_path / "a").outputs() == Draft(tmp_path / "b").outputs()


def test_a_file_of_another_size_opens_its_output_again(tmp_path: Path) -> None:
    draft = Draft(tmp_path)
    write_outputs(draft)
    (tmp_path / "rows" / "ids.npy").write_bytes(b"")
    assert draft.closed() == ("documents", "model")
    (tmp_path / "model" / "state.json").unlink()
    assert draft.closed() == ("documents",)


def test_a_discarded_output_can_be_written_again(tmp_path: Path) -> None:
    draft = Draft(tmp_path)
    write_outputs(draft)
    before = draft.outputs()["model"]
    draft.discard("model")
    assert draft.closed() == ("documents", "rows")
    draft.tensors("model", "weights", {"b": np.full((2, 3), 1, "float32"), "a": np.zeros((), "float64")})
    draft.json("model", "state.json", {"step": 1})
    draft.close("model")
    assert draft.outputs()["model"] == before


def test_a_writer_that_fails_leaves_no_part(tmp_path: Path) -> None:
    draft = Draft(tmp_path)
    for open_writer in (
        lambda: draft.table("x", SCHEMA),
        lambda: draft.array("x", "a", np.dtype("int64"), ()),
        lambda: draft.file("x", "f.bin"),
    ):
        with pytest.raises(RuntimeError), open_writer():
            raise RuntimeError
        with pytest.raises(AssertionError, match="before anything was written"):
            draft.close("x")


def test_misuse_is_our_own_bug(tmp_path: Path) -> None:
    draft = Draft(tmp_path)
    draft.json("state", "state.json", {})
    with pytest.raises(AssertionError, match="written twice"):
        draft.json("state", "state.json", {})
    draft.close("state")
    with pytest.raises(AssertionError, match="closed twice"):
        draft.close("state")
    with pytest.raises(AssertionError, match="is closed"):
        draft.json("state", "more.json", {})
    with pytest.raises(AssertionError, match="not a file name"):
        draft.json("state", "../state.json", {})


def test_an_array_grows_by_rows(tmp_path: Path) -> None:
    rows = np.arange(30, dtype="uint16").reshape(10, 3)
    digests = set()
    for folder, sizes in (("a", (10,)), ("b", (1, 2, 0, 7)), ("c", (5, 5))):
        draft = Draft(tmp_path / folder)
        with draft.array("rows", "ids", np.dtype("uint16"), (3,)) as array:
            for piece in np.split(rows, np.cumsum(sizes)[:-1]):
                array.write(piece.astype(">u2"))
        draft.close("rows")
        part = draft.outputs()["rows"].parts["ids"]
        assert isinstance(part, ArrayPart)
        assert (part.dtype, part.shape) == ("uint16", (10, 3))
        digests.add(part.digest)
        found = read_array(draft.folder / "rows", "ids")
        np.testing.assert_array_equal(found, rows)
        np.testing.assert_array_equal(np.load(draft.folder / "rows" / "ids.npy", allow_pickle=False), rows)
        assert not found.flags.writeable
    assert len(digests) == 1


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint32", "float64"])
@pytest.mark.parametrize("shape", [(), (2, 2), (0,)])
def test_an_empty_array_keeps_its_dtype_and_shape(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    draft = Draft(tmp_path)
    with draft.array("rows", "ids", np.dtype(dtype), shape):
        pass
    found = read_array(tmp_path / "rows", "ids")
    assert (found.dtype, found.shape) == (np.dtype(dtype), (0, *shape))


def test_an_empty_table_keeps_its_columns(tmp_path: Path) -> None:
    draft = Draft(tmp_path)
    with draft.table("documents", SCHEMA):
        pass
    draft.close("documents")
    assert list(read_table(tmp_path / "documents")) == []
    assert read_schema(tmp_path / "documents").equals(SCHEMA)


def test_columns_can_be_chosen(tmp_path: Path) -> None:
    write_outputs(Draft(tmp_path))
    (batch,) = read_table(tmp_path / "documents", ["number"])
    assert batch.to_pydict() == {"number": [1, None, 3]}


def test_rows_of_another_schema_are_our_own_bug(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="expected"), Draft(tmp_path).table("documents", SCHEMA) as table:
        table.write(pa.record_batch({"text": ["a"]}))


@pytest.mark.parametrize("name", ["documents/part-00000.parquet", "rows/ids.npy"])
def test_a_truncated_or_missing_file_is_named(tmp_path: Path, name: str) -> None:
    write_outputs(Draft(tmp_path))
    path = tmp_path / name
    whole = path.read_bytes()

    def read() -> object:
        return list(read_table(path.parent)) if path.suffix == ".parquet" else read_array(path.parent, "ids")

    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        with pytest.raises(ArtifactError, match=path.parent.name):
            read()
    path.unlink()
    with pytest.raises(ArtifactError, match=path.parent.name):
        read()


def test_an_array_file_is_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "ids.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ArtifactError, match=r"ids\.npy is damaged"):
        read_array(tmp_path, "ids")
