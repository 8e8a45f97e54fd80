"""Archives: what is chosen, and what is refused with the name of the member."""

import zipfile
from pathlib import Path

import pytest

from engine.data.sources import archive
from engine.data.sources.archive import contents, pattern_of, select
from engine.spec.errors import ArtifactError
from tests.data.given import put, tar_of, zip_of

FILE = "tiny-1.0-py3-none-any.whl"
MEMBERS = {"tiny/b.py": b"b", "tiny/a.py": b"a", "tiny/deep/c.py": b"c", "tiny/data.txt": b"d"}


def names(folder: Path, data: bytes, file: str, *patterns: str) -> list[str]:
    path = put(folder, "archive", data)
    (folder / "spool").mkdir(exist_ok=True)
    return [member.name for member in select(path, file, patterns, folder / "spool")]


def read(folder: Path, data: bytes, file: str, *patterns: str) -> dict[str, bytes]:
    path = put(folder, "archive", data)
    (folder / "spool").mkdir()
    members = select(path, file, patterns, folder / "spool")
    return {member.name: stream.read() for member, stream in contents(members, file)}


@pytest.mark.parametrize(("file", "data"), [(FILE, zip_of(MEMBERS)), ("tiny-1.0.tar.gz", tar_of(MEMBERS))])
def test_members_come_sorted_whatever_their_order_in_the_archive(tmp_path: Path, file: str, data: bytes) -> None:
    assert list(read(tmp_path, data, file, "tiny/**").items()) == sorted(MEMBERS.items())


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("tiny/*.py", ["tiny/a.py", "tiny/b.py"]),
        ("tiny/**/*.py", ["tiny/a.py", "tiny/b.py", "tiny/deep/c.py"]),
        ("**.txt", ["tiny/data.txt"]),
        ("tiny/deep/c.py", ["tiny/deep/c.py"]),
    ],
)
def test_one_star_stops_at_a_slash_and_two_do_not(pattern: str, found: list[str]) -> None:
    assert [name for name in sorted(MEMBERS) if pattern_of(pattern).fullmatch(name)] == found


def test_a_pattern_that_matches_nothing_shows_near_names(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"no member 'tiny/datta.txt'; near it: tiny/data.txt"):
        names(tmp_path, zip_of(MEMBERS), FILE, "tiny/a.py", "tiny/datta.txt")


@pytest.mark.parametrize("bad", ["/etc/passwd", "../up.py", "tiny/../../up.py", "C:/x.py", "tiny\\x.py"])
def test_names_that_leave_the_archive_are_refused_even_unasked(tmp_path: Path, bad: str) -> None:
    for file, data in ((FILE, zip_of(MEMBERS | {bad: b"x"})), ("t.tar.gz", tar_of(MEMBERS | {bad: b"x"}))):
        with pytest.raises(ArtifactError) as error:
            names(tmp_path, data, file, "tiny/a.py")
        assert repr(bad) in str(error.value)


def test_a_link_is_refused_where_it_is_asked_for(tmp_path: Path) -> None:
    data = tar_of(MEMBERS, {"tiny/link.py": "/etc/passwd"})
    with pytest.raises(ArtifactError, match=r"t.tar.gz!tiny/link.py is a link"):
        names(tmp_path, data, "t.tar.gz", "tiny/**")
    entry = zipfile.ZipInfo("tiny/link.py")
    entry.external_attr = 0o120777 << 16
    path = put(tmp_path, "link.zip", zip_of(MEMBERS))
    with zipfile.ZipFile(path, "a") as target:
        target.writestr(entry, "/etc/passwd")
    with pytest.raises(ArtifactError, match=r"tiny/link.py is a link"):
        names(tmp_path, path.read_bytes(), FILE, "tiny/**")


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    path = put(tmp_path, "twice.zip", zip_of({"tiny/a.py": b"one"}))
    with zipfile.ZipFile(path, "a") as target, pytest.warns(UserWarning, match="Duplicate name"):
        target.writestr("tiny/a.py", "two")
    with pytest.raises(ArtifactError, match=r"two members 'tiny/a.py'"):
        names(tmp_path, path.read_bytes(), FILE, "tiny/a.py")


@pytest.mark.parametrize(("file", "data"), [(FILE, zip_of(MEMBERS)), ("tiny-1.0.tar.gz", tar_of(MEMBERS))])
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_truncated_archive_is_told(tmp_path: Path, file: str, data: bytes, kept: float) -> None:
    with pytest.raises(ArtifactError, match=f"{file} .* is truncated or damaged|{file} is truncated or damaged"):
        names(tmp_path, data[: int(len(data) * kept)], file, "tiny/a.py")


def test_a_damaged_member_is_told_by_name(tmp_path: Path) -> None:
    data = zip_of(MEMBERS, zipfile.ZIP_STORED).replace(b"tiny/a.pya", b"tiny/a.pyA", 1)
    with pytest.raises(ArtifactError, match=r"tiny/a.py is truncated or damaged: Bad CRC"):
        read(tmp_path, data, FILE, "tiny/a.py")


@pytest.mark.parametrize("file", [FILE, "t.tar.gz"])
def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    monkeypatch.setattr(archive, "FREE_BYTES", 1 << 20)
    members = {"zeros.txt": bytes(3 << 20)}
    with pytest.raises(ArtifactError, match="unpacks from"):
        read(tmp_path, zip_of(members) if file == FILE else tar_of(members), file, "zeros.txt")


def test_a_file_that_is_no_archive_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"a.rar is no archive that can be read"):
        names(tmp_path, b"x", "a.rar", "tiny/a.py")
