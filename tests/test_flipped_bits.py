"""One flipped bit anywhere behind a checkpoint: `audit` exits 1 and its first broken line names the file."""

import pytest

from tests.running import Project, flip_bit

FILES = [
    ("artifacts/toy/resumed/step-8/model.safetensors", 0.9),
    ("artifacts/toy/train/step-4/optimizer.safetensors", 0.001),
    ("artifacts/toy/rows/rows/ids.npy", 0.5),
    ("artifacts/toy/split/train/part-00000.parquet", 1.0),
    ("artifacts/toy/tokenizer/manifest.json", 0.6),
    ("artifacts/toy/unique/seal.json", 0.3),
    ("artifacts/toy/corpus/documents/part-00000.parquet", 0.0),
    ("sources/4ed6fd988bbd5ce5afd987c6af8584387381d3b0e205a3481d745c5cd468a8a0", 0.7),
]


@pytest.fixture(scope="module")
def audited(undisturbed: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy in which every test mends what it breaks."""
    project = undisturbed.copy(tmp_path_factory.mktemp("audited") / "project")
    assert "all whole" in project.facsimile("audit", "toy/resumed@final")
    return project


@pytest.mark.parametrize(("name", "place"), FILES, ids=[name for name, _ in FILES])
def test_one_flipped_bit_is_named(audited: Project, name: str, place: float) -> None:
    path = audited.root / "data" / name  # the report names it within the project
    flip_bit(path, place)
    said = audited.facsimile("audit", "toy/resumed@final", code=1)
    flip_bit(path, place)
    lines = said.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("BROKEN"))
    assert f"data/{name}" in lines[first + 1]
    assert f"data/{name}" in lines[-1]
