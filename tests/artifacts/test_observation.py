"""An observation tells what happened, lies outside what is hashed, and does not take a flipped bit for the truth."""

import os
import subprocess
from pathlib import Path

import pytest

from engine.artifacts.observation import Stopwatch, code_state, observe, read_observation
from engine.artifacts.store import Store
from engine.artifacts.toolchain import toolchain
from engine.spec.errors import ArtifactError
from tests.artifacts.small import RUN, build


def git(root: Path, *words: str) -> None:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main", *words]
    subprocess.run(command, cwd=root, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    root.mkdir()
    git(root, "init")
    (root / "spec.yaml").write_text("width: 1\n")
    git(root, "add", ".")
    git(root, "commit", "-m", "first")
    return root


def observed(store: Store, root: Path) -> Path:
    manifest = build(store)
    path, measured = store.observation(RUN), {"kernels": {"norm": "reference"}, "tokens_per_second": 10.5}
    observe(path, RUN, manifest, toolchain("data", None), Stopwatch.start(), root, ("facsimile", "run"), measured)
    return path


def test_it_is_read_back_and_touches_no_artifact(store: Store, checkout: Path) -> None:
    path = observed(store, checkout)
    seen, manifest = read_observation(path), store.manifest(RUN)
    assert seen is not None
    assert manifest is not None
    assert path == store.artifacts / "toy" / "rows.observation.json"
    assert (seen.run, seen.recipe, seen.content) == (RUN, manifest.recipe, manifest.content)
    assert seen.argv == ("facsimile", "run")
    assert seen.measured["tokens_per_second"] == 10.5
    assert seen.toolchain == toolchain("data", None)
    assert seen.started.endswith("+00:00")
    assert seen.cost.peak_bytes > 1 << 20
    assert seen.cost.content_bytes > 100
    assert store.verify_seal(RUN) == []


def test_a_flipped_bit_is_found(store: Store, checkout: Path) -> None:
    path = observed(store, checkout)
    whole = path.read_bytes()
    for place in range(0, len(whole), 11):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        with pytest.raises(ArtifactError, match=r"rows\.observation\.json"):
            read_observation(path)


def test_none_is_none(tmp_path: Path) -> None:
    assert read_observation(tmp_path / "x.observation.json") is None


def test_the_checkout_is_told_with_what_was_changed_in_it(checkout: Path) -> None:
    clean = code_state(checkout)
    assert len(clean.commit) == 40
    assert (clean.dirty, clean.patch, clean.untracked) == (False, "", ())
    (checkout / "spec.yaml").write_text("width: 2\n")
    assert code_state(checkout).dirty
    assert "-width: 1\n+width: 2\n" in code_state(checkout).patch
    git(checkout, "checkout", "spec.yaml")
    (checkout / "new file").write_text("")
    assert code_state(checkout).untracked == ("new file",)
    assert code_state(checkout).dirty


def test_a_patch_with_bytes_that_are_no_text_is_kept_readable(store: Store, checkout: Path) -> None:
    (checkout / "spec.yaml").write_bytes(b"width: \xff\n")
    seen = read_observation(observed(store, checkout))
    assert seen is not None
    assert "width: \ufffd" in seen.code.patch


def test_no_checkout_is_told_as_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", os.fspath(tmp_path))
    assert code_state(tmp_path).commit == ""
    monkeypatch.setenv("PATH", "")
    assert code_state(tmp_path).commit == ""
