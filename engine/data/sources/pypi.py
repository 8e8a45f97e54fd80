"""One file of one release from a package index (PEP 503 and 691), by its name; nothing is installed, nothing built.

A finder such as pip's picks the file that suits this Python; a source names the file, so none is picked here.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import IO, final
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from urllib.request import url2pathname

from engine.data.sources import https
from engine.data.sources.pip_settings import PipSettings, pip_settings
from engine.data.sources.receive import Origin, chunks_of, receive
from engine.data.sources.spec import PypiFile
from engine.spec.errors import ArtifactError

_JSON = "application/vnd.pypi.simple.v1+json"
_ACCEPT = f"{_JSON}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


@final
@dataclass(frozen=True, slots=True)
class Link:
    """A file that an index offers."""

    file: str
    url: str
    sha256: str  # empty when the index does not say


def download(source: PypiFile, part: IO[bytes]) -> Origin:
    """Finds the file where pip would look, and streams it into `part`."""
    settings = pip_settings()
    link = _find(source, settings)
    if link.url.startswith("file:"):
        return _copy(_local(link.url), part)
    return https.download(link.url, link.file, part, settings.certificates)


def _find(source: PypiFile, settings: PipSettings) -> Link:
    """The first offer with the right sha256, or else the first that has the name."""
    offers: list[Link] = []
    for link in _links(source, settings):
        if link.file == source.file:
            if link.sha256 == source.sha256:
                return link
            offers.append(link)
    if not offers:
        asked = ", ".join(https.public(place) for place in (*settings.find_links, *settings.indexes)) or "no index"
        raise ArtifactError(
            f"pypi source: no package index has the file {source.file} of {source.package} (asked: {asked}); "
            "check its name on the index's page of the package, or serve its sha256 by a mirror (FACSIMILE_MIRRORS)"
        )
    return min(offers, key=lambda link: link.sha256 != "")  # one whose sha256 is unknown may still be right


def _links(source: PypiFile, settings: PipSettings) -> Iterator[Link]:
    for place in settings.find_links:
        yield from _offered(place if "://" in place else Path(place).absolute().as_uri(), settings.certificates)
    project = re.sub(r"[-_.]+", "-", source.package.partition("==")[0]).lower()
    for index in settings.indexes:
        yield from _offered(f"{index.rstrip('/')}/{project}/", settings.certificates)


def _offered(url: str, certificates: str | None) -> Iterator[Link]:
    if url.startswith("file:"):
        yield from _offered_locally(_local(url))
        return
    found = https.page(url, _ACCEPT, certificates)
    if found is None:
        return
    kind, body, final_url = found
    base = _with_login(final_url, url)
    yield from _json_links(body, base) if kind == _JSON else _html_links(body, base)


def _offered_locally(path: Path) -> Iterator[Link]:
    index = path / "index.html" if path.is_dir() else path
    if index.is_file():
        yield from _html_links(index.read_bytes(), index.absolute().as_uri())
    elif path.is_dir():
        yield from (Link(file.name, file.absolute().as_uri(), "") for file in sorted(path.iterdir()) if file.is_file())


def _json_links(body: bytes, base: str) -> Iterator[Link]:
    try:
        files = json.loads(body)["files"]
        yield from (Link(f["filename"], urljoin(base, f["url"]), f["hashes"].get("sha256", "")) for f in files)
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{https.public(base)} is no page of a package index ({error!r}); check the index"
        ) from error


def _html_links(body: bytes, base: str) -> Iterator[Link]:
    anchors = _Anchors()
    anchors.feed(body.decode("utf-8", errors="replace"))
    for target in anchors.targets:
        url, fragment = urldefrag(urljoin(base, target))
        stated = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else ""
        yield Link(unquote(urlsplit(url).path.rpartition("/")[2]), url, stated)


@final
class _Anchors(HTMLParser):
    """The targets of the links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.targets += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _with_login(url: str, asked: str) -> str:
    """The final URL of a page with the login of the URL that was asked, when the host is the same."""
    old, new = urlsplit(asked), urlsplit(url)
    login, at, host = old.netloc.rpartition("@")
    return new._replace(netloc=f"{login}{at}{host}").geturl() if at and host == new.netloc else url


def _local(url: str) -> Path:
    return Path(url2pathname(urlsplit(url).path))


def _copy(path: Path, part: IO[bytes]) -> Origin:
    if not path.is_file():
        raise ArtifactError(f"a package index names {path}, which is not there; mend the index")
    with path.open("rb") as file:
        return Origin(f"the file {path}", receive(chunks_of(file), part))
