"""One flipped bit, one byte more, one file less: found and named."""

from pathlib import Path

import pytest

from engine.artifacts.store import Store
from engine.spec.errors import ArtifactError
from tests.artifacts.small import RECIPE, RUN, build

FILES = (
    "documents/part-00000.parquet",
    "manifest.json",
    "model/state.json",
    "model/weights.safetensors",
    "rows/ids.npy",
    "rows/order.npy",
    "seal.json",
)


def test_the_list_of_files_is_whole(store: Store) -> None:
    build(store)
    folder = store.folder(RUN)
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == list(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_found_and_its_file_named(store: Store, name: str) -> None:
    build(store)
    path = store.folder(RUN) / name
    whole = path.read_bytes()
    for place in sorted({*range(0, len(whole), max(1, len(whole) // 60)), len(whole) - 1}):
        for bit in (place % 8, 5):  # 5 turns a capital letter into a small one, and a space into nothing
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            (problem, *_) = store.verify_seal(RUN)
            assert str(path) in problem, f"byte {place}, bit {bit}"
    path.write_bytes(whole)
    assert store.verify_seal(RUN) == []


def test_content_is_checked_apart_from_the_seal(store: Store) -> None:
    manifest = build(store)
    other = Store(store.artifacts.parent / "other")
    build(other, value=2)
    for name in FILES[:1] + FILES[2:6]:
        path = store.folder(RUN) / name
        whole = path.read_bytes()
        path.write_bytes((other.folder(RUN) / name).read_bytes())
        problems = store.verify_content(RUN)
        assert (
            problems == []
            if name == "rows/order.npy"
            else path.stem.split("-")[0] in problems[0] or "table" in problems[0]
        )
        assert (store.verify_seal(RUN) == []) == (name == "rows/order.npy")
        path.write_bytes(whole)
    assert store.verify_content(RUN) == []
    assert store.manifest(RUN) == manifest


def test_a_seal_made_again_over_changed_text_does_not_help_the_manifest(store: Store) -> None:
    build(store)
    path = store.folder(RUN) / "manifest.json"
    path.write_text(path.read_text().replace(' "loss": 0.1', ' "loss": 1e-1'))
    with pytest.raises(ArtifactError, match=r"manifest\.json was changed after it was written"):
        store.manifest(RUN)
    assert "manifest.json" in store.verify_content(RUN)[0]
    assert not store.whole(RUN, RECIPE)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_or_truncated_file_is_named_and_the_artifact_is_not_whole(store: Store, name: str) -> None:
    build(store)
    path = store.folder(RUN) / name
    path.write_bytes(path.read_bytes()[:-1])
    assert str(path) in store.verify_seal(RUN)[0]
    assert not store.whole(RUN, RECIPE)
    path.unlink()
    assert str(path) in store.verify_seal(RUN)[0]
    assert not store.whole(RUN, RECIPE)


def test_a_stranger_and_a_link_are_named(store: Store, tmp_path: Path) -> None:
    build(store)
    stranger = store.folder(RUN) / "model" / ".hidden"
    stranger.write_text("")
    assert store.verify_seal(RUN) == [f"{stranger} is not part of the artifact"]
    stranger.unlink()
    path = store.folder(RUN) / "rows" / "ids.npy"
    path.rename(tmp_path / "ids.npy")
    path.symlink_to(tmp_path / "ids.npy")
    (problem,) = store.verify_seal(RUN)
    assert problem.startswith(f"{path} is not a plain file but a link")
    assert "dvc config cache.type hardlink,copy && dvc checkout --relink" in problem


def test_only_some_outputs_may_be_read(store: Store) -> None:
    build(store)
    path = store.folder(RUN) / "rows" / "ids.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert store.verify_seal(RUN, ("documents",)) == []
    assert str(path) in store.verify_seal(RUN, ("rows",))[0]


def test_to_find_an_artifact_whole_hashes_no_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    build(store)

    def no_reading(*_: object) -> None:
        raise AssertionError("a file was hashed")

    monkeypatch.setattr("engine.artifacts.digest.Hasher.update", no_reading)
    assert store.whole(RUN, RECIPE)
