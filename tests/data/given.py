"""What tests of sources need: archives built in memory, sources that name them, and a small package index over HTTP."""

import gzip
import hashlib
import io
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

import pytest

from engine.artifacts.placement import Placement
from engine.artifacts.read import Inputs
from engine.data.readers.spec import Format, PlainText
from engine.data.run import run_ingest
from engine.data.sources.spec import FileSource, PypiSource, Source
from engine.data.spec import Ingest
from tests.data.built import Built, build

LINES = PlainText(kind="text", unit="line")
WHEEL = "tiny-1.0-py3-none-any.whl"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def zip_of(members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip or wheel with members in the given order, equal bytes each time."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return data.getvalue()


def tar_of(members: Mapping[str, bytes], links: Mapping[str, str] = {}) -> bytes:
    """A tar.gz with plain members, then symbolic links, equal bytes each time."""
    data = io.BytesIO()
    with gzip.GzipFile("", "wb", fileobj=data, mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for name, target in links.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return data.getvalue()


def place(root: Path, workers: int = 1, *mirrors: Path) -> Placement:
    """A project in a folder."""
    return Placement(root, root / "data/artifacts", root / "data/sources", None, mirrors, workers)


def file_source(data: bytes, path: str, form: Format = LINES, *members: str, **fields: Any) -> FileSource:
    """A source inside the project that is said to hold these bytes."""
    words = {"name": "here", "domain": "books", "licence": "CC0-1.0"} | fields
    return FileSource(kind="file", path=path, sha256=sha256(data), members=members, format=form, **words)


def pypi_source(data: bytes, form: Format = LINES, *members: str) -> PypiSource:
    """The tiny wheel on the index."""
    return PypiSource(
        kind="pypi",
        name="tiny",
        domain="code",
        package="Tiny==1.0",
        file=WHEEL,
        sha256=sha256(data),
        licence="MIT",
        members=members,
        format=form,
    )


def put(root: Path, path: str, data: bytes) -> Path:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return target


def ingested(folder: Path, run: str, placement: Placement, *sources: Source) -> Built:
    """The documents of sources."""
    stage = Ingest(kind="ingest", sources=sources)
    return build(folder, run, lambda out: run_ingest(stage, Inputs({}), out, placement))


@dataclass
class Index:
    """A package index with one project, `tiny`. Requests of a file are counted; it can be made to fail."""

    files: dict[str, bytes]
    url: str = ""
    stated: dict[str, str] = field(default_factory=dict)  # sha256 that the index says, where it says one
    asked: Counter[str] = field(default_factory=Counter)
    failures: list[int] = field(default_factory=list)  # answers before the first good one
    cut: bool = False  # whether files end early
    seconds: float = 0.0

    def page(self) -> bytes:
        rows = (f'<a href="../../files/{n}{self._fragment(n)}">{n}</a>' for n in self.files)
        return "<br>".join(rows).encode()

    def _fragment(self, name: str) -> str:
        return f"#sha256={self.stated[name]}" if name in self.stated else ""


@contextmanager
def serving(index: Index) -> Iterator[Index]:
    """The index on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, _, name = self.path.rpartition("/")
            index.asked[name or self.path] += 1
            if self.path == "/simple/tiny/":
                self._answer(200, index.page(), "text/html")
            elif kind == "/files" and index.failures:
                self._answer(index.failures.pop(0), b"", "text/plain")
            elif kind == "/files" and name in index.files:
                sleep(index.seconds)
                self._answer(200, index.files[name], "application/octet-stream")
            else:
                self._answer(404, b"", "text/plain")

        def _answer(self, code: int, body: bytes, kind: str) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if index.cut and code == 200 and kind != "text/html" else body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    index.url = f"http://127.0.0.1:{server.server_port}/simple"
    try:
        yield index
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def point_pip_at(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Makes a URL the only package index that this process knows."""
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_CERT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
