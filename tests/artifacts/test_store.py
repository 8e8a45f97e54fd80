"""A finished artifact is whole and sealed; whatever else happens, what was finished before stays."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.artifacts.manifest import Manifest
from engine.artifacts.seal import SEAL
from engine.artifacts.store import Store
from engine.spec.errors import ArtifactError, SpecError
from tests.artifacts.small import OTHER_RECIPE, RECIPE, RUN, build, build_file, manifest_of, write_outputs

ROOT = Path(__file__).parents[2]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_built_artifact_is_whole_and_holds_nothing_else(store: Store) -> None:
    manifest = build(store)
    assert store.manifest(RUN) == manifest
    assert store.whole(RUN, RECIPE)
    assert not store.whole(RUN, OTHER_RECIPE)
    assert store.verify_seal(RUN) == store.verify_content(RUN) == []
    assert names(store.folder(RUN)) == ["documents", "manifest.json", "model", "rows", "seal.json"]
    assert names(store.artifacts / "toy") == [".rows.lock", "rows"]


def test_nothing_is_there_before_it_is_built(store: Store) -> None:
    assert store.manifest(RUN) is None
    assert not store.whole(RUN, RECIPE)
    assert not store.artifacts.exists()


def test_a_rebuild_gives_the_same_files(store: Store, tmp_path: Path) -> None:
    build(store)
    build(Store(tmp_path / "again"))
    first, second = store.folder(RUN), tmp_path / "again" / "toy" / "rows"
    files = [path.relative_to(first) for path in first.rglob("*") if path.is_file()]
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in files)


def test_a_cell_lies_in_its_stage_and_its_scratch_outside(store: Store) -> None:
    run = "toy/train[mix=dc1,seed=1]"
    with store.begin(run, RECIPE, keep=False) as draft:
        assert draft.folder == store.artifacts / "toy" / ".train[mix=dc1,seed=1].partial"
        write_outputs(draft)
        store.commit(draft, manifest_of(draft, run))
    assert store.folder(run) == store.artifacts / "toy" / "train" / "mix=dc1,seed=1"
    assert names(store.artifacts / "toy" / "train") == ["mix=dc1,seed=1"]
    assert store.observation(run) == store.artifacts / "toy" / "train[mix=dc1,seed=1].observation.json"
    assert store.whole(run, RECIPE)


def test_stale_cells_are_removed(store: Store) -> None:
    for seed in (1, 2, 3):
        build_file(store, f"toy/train[seed={seed}]")
    (store.artifacts / "toy" / "train" / "manifest.json").write_text("of a time without a matrix")
    store.keep_only("toy/train", ("seed=1", "seed=3"))
    assert names(store.artifacts / "toy" / "train") == ["seed=1", "seed=3"]


def test_a_stage_may_gain_and_lose_its_matrix(store: Store) -> None:
    build_file(store, "toy/train")
    store.keep_only("toy/train", ("seed=1",))
    build_file(store, "toy/train[seed=1]")
    assert store.manifest("toy/train") is None
    build_file(store, "toy/train")
    assert store.whole("toy/train", RECIPE)


@pytest.mark.parametrize(
    "run", ["rows", "toy/rows/more", "../x/y", "toy/..", "/toy/rows", "toy/t[../..]", "toy/t[a=/b]"]
)
def test_a_name_that_is_no_run_is_the_authors_error(store: Store, run: str) -> None:
    with pytest.raises(SpecError, match="is not a run"):
        store.folder(run)


def test_two_runs_at_once(store: Store) -> None:
    with store.begin(RUN, RECIPE, keep=False):
        with pytest.raises(ArtifactError, match=rf"toy/rows is already being built by process {os.getpid()} "):
            Store(store.artifacts).begin(RUN, RECIPE, keep=False)
        Store(store.artifacts).begin("toy/other", RECIPE, keep=False)
    build(Store(store.artifacts))


def test_a_killed_run_leaves_nothing_that_looks_finished(store: Store) -> None:
    old = build(store)
    code = (
        "import sys, pathlib, pyarrow as pa\n"
        "from engine.artifacts.store import Store\n"
        "from tests.artifacts.small import *\n"
        "draft = Store(pathlib.Path(sys.argv[1])).begin(RUN, OTHER_RECIPE, keep=True)\n"
        "draft.json('state', 'state.json', {}); draft.close('state')\n"
        "table = draft.table('documents', SCHEMA)\n"
        "batch = pa.record_batch([['text'] * 5000, [1] * 5000], schema=SCHEMA)\n"
        "for i in range(10**9): table.write(batch); i != 30 or print('writing', flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, store.artifacts], cwd=ROOT, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        with pytest.raises(ArtifactError, match=f"already being built by process {writer.pid} "):
            store.begin(RUN, OTHER_RECIPE, keep=True)
        os.kill(writer.pid, signal.SIGKILL)
    assert store.manifest(RUN) == old
    assert store.whole(RUN, RECIPE)
    assert not store.whole(RUN, OTHER_RECIPE)
    assert store.verify_seal(RUN) == []
    with store.begin(RUN, OTHER_RECIPE, keep=True) as draft:
        assert draft.closed() == ("state",)
        assert names(draft.folder) == [".key", ".outputs", "state"]


def test_a_killed_run_is_kept_only_for_the_same_recipe(store: Store) -> None:
    for recipe, keep, kept in ((RECIPE, True, ()), (RECIPE, True, ("state",)), (OTHER_RECIPE, True, ())):
        with store.begin(RUN, recipe, keep) as draft:
            assert draft.closed() == kept
            if not kept:
                draft.json("state", "state.json", {})
                draft.close("state")
    with store.begin(RUN, OTHER_RECIPE, keep=False) as draft:
        assert draft.closed() == ()


def test_a_resumed_run_finds_its_scratch_files_and_a_commit_removes_them(store: Store) -> None:
    with store.begin(RUN, RECIPE, keep=True) as draft:
        (draft.folder / ".log").write_text("step 1\n")
    with store.begin(RUN, RECIPE, keep=True) as draft:
        assert (draft.folder / ".log").read_text() == "step 1\n"
        write_outputs(draft)
        store.commit(draft, manifest_of(draft))
    assert not list(store.folder(RUN).glob(".*"))
    assert store.verify_seal(RUN) == []


def test_what_is_written_past_the_draft_is_our_own_bug(store: Store) -> None:
    with store.begin(RUN, RECIPE, keep=False) as draft:
        write_outputs(draft)
        (draft.folder / "model" / "more").write_text("")
        with pytest.raises(AssertionError, match="model/more was written past the draft"):
            store.commit(draft, manifest_of(draft))


class Crash(BaseException):
    """The power is cut before a change of the disk."""


@pytest.fixture
def crash_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Lets this many changes of the disk happen, and then none."""
    left = [1 << 30]

    def counted(name: str) -> None:
        real: Callable[..., object] = vars(os)[name]

        def change(*args: object, **options: object) -> object:
            if left[0] == 0:
                raise Crash
            left[0] -= 1
            return real(*args, **options)

        monkeypatch.setattr(os, name, change)

    for name in ("rename", "replace", "unlink", "rmdir", "mkdir", "fsync"):
        counted(name)

    def set_left(changes: int) -> None:
        left[0] = changes

    yield set_left
    left[0] = 1 << 30


def finish(artifacts: Path) -> None:
    """What a second run does after a crash."""
    store = Store(artifacts)
    store.finish_killed(RUN, OTHER_RECIPE)
    if not store.whole(RUN, OTHER_RECIPE):
        build_file(store, recipe=OTHER_RECIPE, value=2)


def one_of(artifacts: Path, *allowed: Manifest) -> None:
    """What anyone sees after a crash is a whole artifact, the old or the new."""
    store = Store(artifacts)
    assert store.manifest(RUN) in allowed
    assert store.verify_seal(RUN) == store.verify_content(RUN) == []


@pytest.mark.parametrize("look", [False, True], ids=["run again at once", "looked at in between"])
def test_a_crash_at_any_point_of_a_commit_loses_nothing(
    tmp_path: Path, crash_before: Callable[[int], None], look: bool
) -> None:
    new = build_file(Store(tmp_path / "new"), recipe=OTHER_RECIPE, value=2)
    crashes = 0
    while True:
        artifacts = tmp_path / str(crashes)
        old = build_file(Store(artifacts))
        crash_before(crashes)
        try:
            finish(artifacts)
        except Crash:
            crashes += 1
        else:
            break
        for again in (crashes // 3, crashes // 2, crashes):  # the second run crashes too
            crash_before(again)
            with contextlib.suppress(Crash):
                finish(artifacts)
            crash_before(1 << 30)
            if look:
                one_of(artifacts, old, new)
        finish(artifacts)
        one_of(artifacts, new)
        assert names(artifacts / "toy") == [".rows.lock", "rows"]
    assert crashes > 15


def test_a_sealed_draft_of_a_killed_run_is_taken_and_not_built_again(
    store: Store, crash_before: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.artifacts.store.Store._rename", lambda *_: crash_before(0) or os.fsync(0))
    with pytest.raises(Crash):
        build(store)
    monkeypatch.undo()
    assert (store.artifacts / "toy" / ".rows.partial" / SEAL).exists()
    assert store.manifest(RUN) is None
    assert not store.whole(RUN, RECIPE)  # asking changes nothing
    store.finish_killed(RUN, RECIPE)
    assert store.whole(RUN, RECIPE)
    assert store.verify_seal(RUN) == store.verify_content(RUN) == []


FILL = """
import resource, sys, pathlib, pyarrow as pa, numpy as np
from engine.artifacts.store import Store
from engine.spec.errors import ArtifactError
from tests.artifacts.small import *
folder, limit, kind = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
store = Store(folder)
old = build(store)
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
noise = np.random.Generator(np.random.Philox(1))
def fill(draft):
    match kind:
        case "table":
            with draft.table("documents", SCHEMA) as table:
                for _ in range(300):
                    texts = [noise.bytes(5000).hex() for _ in range(10)]
                    table.write(pa.record_batch([texts, [1] * 10], schema=SCHEMA))
        case "array":
            with draft.array("rows", "ids", np.dtype("uint8"), (10000,)) as array:
                for _ in range(300):
                    array.write(np.zeros((1, 10000), "uint8"))
        case "tensors":
            draft.tensors("model", "weights", {"w": np.zeros(3 << 20, "uint8")})
        case "json":
            for i in range(3000):
                draft.json("state", f"{i}.json", {"padding": "x" * (3 << 20 if limit else 1000)})
try:
    with store.begin(RUN, OTHER_RECIPE, keep=False) as draft:
        fill(draft)
except ArtifactError as error:
    print(error)
assert store.manifest(RUN) == old and store.whole(RUN, RECIPE)
assert store.verify_seal(RUN) == store.verify_content(RUN) == []
"""


@pytest.mark.parametrize("kind", ["table", "array", "tensors", "json"])
def test_a_full_disk_is_told_and_loses_nothing(small_disk: tuple[Path, int], kind: str) -> None:
    folder, limit = small_disk
    command = [sys.executable, "-W", "error", "-c", FILL, str(folder), str(limit), kind]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("the disk is full")
    assert str(folder / "toy" / ".rows.partial") in done.stdout
    assert "nothing that was finished has been touched" in done.stdout
