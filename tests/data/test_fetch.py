"""Sources to bytes: by digest from a mirror, from an index, from the project; wrong, missing and broken ones told."""

import json
import multiprocessing
import subprocess
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from engine.data.sources import https
from engine.data.sources.fetch import resolve
from engine.data.sources.spec import GitSource
from engine.spec.errors import ArtifactError
from tests.data.given import (
    LINES,
    WHEEL,
    Index,
    file_source,
    place,
    point_pip_at,
    put,
    pypi_source,
    serving,
    sha256,
)

DATA = b"the right bytes\n"


def listing(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "PAUSES_SECONDS", (0.0, 0.0, 0.0))


def test_a_wrong_download_is_kept_aside_and_nothing_else_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placement = place(tmp_path)
    other = put(placement.sources, sha256(b"other"), b"other")
    with serving(Index({WHEEL: b"other bytes"})) as index:
        point_pip_at(monkeypatch, index.url)
        with pytest.raises(ArtifactError) as error:
            resolve(pypi_source(DATA), placement)
    aside = f"rejected/{sha256(b'other bytes')}-{WHEEL}"
    assert listing(placement.sources) == {aside, other.name}
    assert (placement.sources / aside).read_bytes() == b"other bytes" and other.read_bytes() == b"other"
    for told in (sha256(DATA), sha256(b"other bytes"), aside, "run again"):
        assert told in str(error.value)


@pytest.mark.parametrize("named", ["by index.json", "by file name"])
def test_a_mirror_is_asked_before_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    mirror = tmp_path / "mirror"
    if named == "by index.json":
        put(mirror, "deep/file.bin", DATA)
        put(mirror, "index.json", json.dumps([{"path": "deep/file.bin", "sha256": sha256(DATA)}]).encode())
    else:
        put(mirror, sha256(DATA), DATA)
    point_pip_at(monkeypatch, "http://127.0.0.1:9/simple")
    path = resolve(pypi_source(DATA), place(tmp_path / "p", 1, tmp_path / "empty", mirror))
    assert path.name == sha256(DATA) and path.read_bytes() == DATA


def test_a_mirror_with_wrong_bytes_is_refused_like_any_download(tmp_path: Path) -> None:
    put(tmp_path / "mirror", sha256(DATA), b"rotten")
    placement = place(tmp_path / "p", 1, tmp_path / "mirror")
    with pytest.raises(ArtifactError, match=f"mirror's file .* expected sha256 {sha256(DATA)}"):
        resolve(pypi_source(DATA), placement)
    assert listing(placement.sources) == {f"rejected/{sha256(b'rotten')}-{WHEEL}"}


def test_a_mirror_cannot_point_outside_itself(tmp_path: Path) -> None:
    put(tmp_path, "secret", DATA)
    put(tmp_path / "mirror", "index.json", json.dumps([{"path": "../secret", "sha256": sha256(DATA)}]).encode())
    with pytest.raises(ArtifactError, match="climbs out of the mirror"):
        resolve(pypi_source(DATA), place(tmp_path / "p", 1, tmp_path / "mirror"))


def test_an_index_of_a_mirror_that_is_no_list_is_named(tmp_path: Path) -> None:
    put(tmp_path / "mirror", "index.json", b'{"path": 1')
    with pytest.raises(ArtifactError, match=r"mirror/index.json is no list of objects"):
        resolve(pypi_source(DATA), place(tmp_path / "p", 1, tmp_path / "mirror"))


def test_a_file_of_another_python_and_platform_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = "tiny-1.0-cp27-cp27m-win32.whl"
    with serving(Index({WHEEL: b"x", file: DATA})) as index:
        point_pip_at(monkeypatch, index.url)
        assert resolve(pypi_source(DATA).replace(file=file), place(tmp_path)).read_bytes() == DATA
        assert index.asked[WHEEL] == 0


def test_an_index_in_a_folder_and_a_find_links_folder_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, f"pages/tiny/{WHEEL}", DATA)
    put(tmp_path, "pages/tiny/index.html", f'<a href="{WHEEL}#sha256={sha256(DATA)}">x</a>'.encode())
    point_pip_at(monkeypatch, (tmp_path / "pages").as_uri())
    assert resolve(pypi_source(DATA), place(tmp_path / "p")).read_bytes() == DATA
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "pages/tiny"))
    put(tmp_path, f"pages/tiny/{WHEEL}", DATA)
    (tmp_path / "pages/tiny/index.html").unlink()
    assert resolve(pypi_source(DATA), place(tmp_path / "q")).read_bytes() == DATA


def test_the_index_of_pip_s_configuration_file_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Index({WHEEL: DATA})) as index:
        point_pip_at(monkeypatch, "unused")
        monkeypatch.delenv("PIP_INDEX_URL")
        config = put(tmp_path, "pip.conf", f"[global]\nindex-url = {index.url}\n".encode())
        monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
        assert resolve(pypi_source(DATA), place(tmp_path)).read_bytes() == DATA


def test_trouble_that_passes_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Index({WHEEL: DATA}, failures=[503, 429])) as index:
        point_pip_at(monkeypatch, index.url)
        assert resolve(pypi_source(DATA), place(tmp_path)).read_bytes() == DATA
        assert index.asked[WHEEL] == 3


def test_trouble_that_stays_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    placement = place(tmp_path)
    with serving(Index({WHEEL: DATA})) as index:
        point_pip_at(monkeypatch, index.url)
        index.cut = True
        with pytest.raises(ArtifactError, match="the connection broke"):
            resolve(pypi_source(DATA), placement)
        index.failures = [403]
        with pytest.raises(ArtifactError, match="answered 403"):
            resolve(pypi_source(DATA), placement)
        with pytest.raises(ArtifactError, match=r"no package index has the file other.whl of Tiny==1.0"):
            resolve(pypi_source(DATA).replace(file="other.whl"), placement)
    with pytest.raises(ArtifactError, match="no connection"):
        resolve(pypi_source(DATA), placement)
    assert listing(placement.sources) == set()


def test_a_password_in_the_index_is_sent_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Index({})) as index:
        point_pip_at(monkeypatch, index.url.replace("http://", "http://me:secret@"))
        with pytest.raises(ArtifactError) as error:
            resolve(pypi_source(DATA), place(tmp_path))
    assert "127.0.0.1" in str(error.value) and "secret" not in str(error.value)


def test_two_processes_that_fetch_one_file_do_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Index({WHEEL: DATA}, seconds=0.5)) as index:
        point_pip_at(monkeypatch, index.url)
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
            futures = [pool.submit(resolve, pypi_source(DATA), place(tmp_path)) for _ in range(2)]
            assert {future.result().read_bytes() for future in futures} == {DATA}
        assert index.asked[WHEEL] == 1
    assert listing(place(tmp_path).sources) == {sha256(DATA)}


def test_a_kept_file_that_was_damaged_is_named(tmp_path: Path) -> None:
    placement = place(tmp_path)
    put(placement.sources, sha256(DATA), b"the wrong bytes\n")
    with pytest.raises(ArtifactError, match="was damaged on disk"):
        resolve(pypi_source(DATA), placement)


def test_a_file_of_the_project_is_copied_and_a_missing_one_is_told(tmp_path: Path) -> None:
    source = file_source(DATA, "texts/a.txt")
    with pytest.raises(ArtifactError, match=r"there is no file .*texts/a.txt"):
        resolve(source, place(tmp_path))
    put(tmp_path, "texts/a.txt", DATA)
    kept = resolve(source, place(tmp_path))
    put(tmp_path, "texts/a.txt", b"edited")
    assert kept.read_bytes() == DATA and resolve(source, place(tmp_path)) == kept


def test_a_path_of_the_project_cannot_leave_it_through_a_link(tmp_path: Path) -> None:
    put(tmp_path, "outside/a.txt", DATA)
    (tmp_path / "project").mkdir()
    (tmp_path / "project/texts").symlink_to(tmp_path / "outside")
    with pytest.raises(ArtifactError, match="leads out of the project folder"):
        resolve(file_source(DATA, "texts/a.txt"), place(tmp_path / "project"))


def test_a_file_at_a_commit_of_a_repository(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
        command = ["git", "-C", str(tmp_path / "repository"), *who, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    put(tmp_path / "repository", "texts/a.txt", DATA)
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    commit = git("rev-parse", "HEAD")
    put(tmp_path / "repository", "texts/a.txt", b"later")
    git("commit", "--quiet", "-a", "-m", "second")
    source = GitSource(
        kind="git",
        name="g",
        domain="books",
        repository="repository",
        commit=commit,
        path="texts/a.txt",
        sha256=sha256(DATA),
        licence="CC0-1.0",
        format=LINES,
    )
    assert resolve(source, place(tmp_path)).read_bytes() == DATA
    with pytest.raises(ArtifactError, match=r"has no file .*:texts/b.txt"):
        resolve(source.replace(path="texts/b.txt", sha256="0" * 64), place(tmp_path))
    with pytest.raises(ArtifactError, match="repository has no file 11111"):
        resolve(source.replace(commit="1" * 40, sha256="0" * 64), place(tmp_path))
    with pytest.raises(ArtifactError, match="cannot fetch 111111111111 from nowhere"):
        resolve(source.replace(repository="nowhere", commit="1" * 40, sha256="0" * 64), place(tmp_path))
    assert listing(place(tmp_path).sources) == {sha256(DATA)}
