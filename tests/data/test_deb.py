"""Debian packages: read as an archive of archives, links passed over, damage told; zstd beside gzip and the others."""

import io
import tarfile
from pathlib import Path
from tempfile import mkdtemp

import pytest
import zstandard

from engine.data.sources.archive import contents, select
from engine.spec.errors import ArtifactError
from tests.data.mirrored import mirrored


def ar(*members: tuple[str, bytes]) -> bytes:
    pieces = [b"!<arch>\n"]
    for name, data in members:
        head = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode()
        pieces += [head, data, b"\n" * (len(data) % 2)]
    return b"".join(pieces)


def tar(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return out.getvalue()


FILES = {"usr/share/doc/a/one.txt": b"one\n", "usr/share/doc/a/two.txt": b"two\n" * 3, "usr/share/doc/a/b.bin": b"\0"}
DATA = tar(FILES, {"usr/share/doc/a/link.txt": "one.txt"})
CONTROL = ("control.tar.xz", b"odd")


def texts(folder: Path, package: bytes, *patterns: str) -> dict[str, bytes]:
    path = folder / "a.deb"
    path.write_bytes(package)
    spool = Path(mkdtemp(dir=folder))
    members = select(path, "a_1_all.deb", patterns, spool)
    return {member.name: stream.read() for member, stream in contents(members, "a_1_all.deb")}


@pytest.mark.parametrize("packed", ["", ".zst"])
def test_members_are_read_and_links_are_passed_over(tmp_path: Path, packed: str) -> None:
    data = zstandard.ZstdCompressor().compress(DATA) if packed else DATA
    package = ar(("debian-binary", b"2.0\n"), CONTROL, (f"data.tar{packed}", data))
    assert texts(tmp_path, package, "usr/share/doc/**.txt") == {
        name: data for name, data in FILES.items() if name.endswith(".txt")
    }


@pytest.mark.parametrize(
    ("package", "told"),
    [
        (b"PK..", "does not begin as an ar archive"),
        (ar(CONTROL), "has no data.tar"),
        (ar(("data.tar", DATA))[:2000], "truncated"),
        (b"!<arch>\n" + b"x" * 60, "header is broken"),
        (ar(("data.tar", DATA)), "has no member"),
    ],
)
def test_what_is_no_whole_package_is_told(tmp_path: Path, package: bytes, told: str) -> None:
    with pytest.raises(ArtifactError, match=told):
        texts(tmp_path, package, "nothing/*")


def test_a_zst_member_comes_unpacked(tmp_path: Path) -> None:
    two_frames = b"".join(zstandard.ZstdCompressor().compress(piece) for piece in (b'{"text": "a"}\n', b"more\n"))
    package = ar(("data.tar", tar({"x.jsonl.zst": two_frames})))
    assert texts(tmp_path, package, "x.jsonl.zst") == {"x.jsonl.zst": b'{"text": "a"}\nmore\n'}
    for damaged in (two_frames[:-3], two_frames[:20] + b"\xff" * 20, b"no zstd"):
        with pytest.raises(ArtifactError, match=r"x\.jsonl\.zst.* is truncated or damaged"):
            texts(tmp_path, ar(("data.tar", tar({"x.jsonl.zst": damaged}))), "x.jsonl.zst")


def test_a_real_package(tmp_path: Path) -> None:
    path = mirrored("packages/debian-faq_11.1_all.deb")
    members = select(path, "debian-faq_11.1_all.deb", ["usr/share/doc/debian/FAQ/*.en.html"], tmp_path)
    assert len(members) == 17
    assert b"<html" in next(stream.read() for _, stream in contents(members, path.name))
