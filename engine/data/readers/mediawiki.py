"""A MediaWiki XML export: the pages of the main namespace, streamed."""

from collections.abc import Iterator
from typing import IO, final
from xml.parsers import expat

from engine.data.readers.unit import Skipped, Unit
from engine.data.readers.wikitext import prose
from engine.spec.errors import ArtifactError

MAIN_NAMESPACE = "0"
PAGE_CHARS = 64 << 20  # assumed: MediaWiki's own limit is 2 MiB a page
_CHUNK_BYTES = 1 << 16


def read_mediawiki(stream: IO[bytes], where: str) -> Iterator[Unit | Skipped]:
    """One unit an article, its markup reduced to text; redirects and other namespaces are passed over."""
    pages = _Pages(where)
    while chunk := stream.read(_CHUNK_BYTES):
        pages.feed(chunk)
        yield from pages.take()
    pages.end()
    yield from pages.take()


@final
class _Pages:
    """The expat handlers of an export. Entity declarations are refused, so nothing can expand or be fetched."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._finish
        self._parser.CharacterDataHandler = self._characters
        self._parser.EntityDeclHandler = self._entity
        self._path: list[str] = []
        self._page: dict[str, str] = {}
        self._pieces: list[str] = []
        self._chars = 0
        self._done: list[Unit | Skipped] = []

    def feed(self, chunk: bytes) -> None:
        self._parse(chunk, False)

    def end(self) -> None:
        self._parse(b"", True)

    def take(self) -> list[Unit | Skipped]:
        done, self._done = self._done, []
        return done

    def _parse(self, chunk: bytes, final: bool) -> None:
        try:
            self._parser.Parse(chunk, final)
        except expat.ExpatError as error:
            raise ArtifactError(f"{self._where} is no whole MediaWiki export ({error}); get it again") from error

    def _start(self, name: str, _: dict[str, str]) -> None:
        if not self._path and name != "mediawiki":
            raise ArtifactError(f"{self._where} begins with <{name}>; a MediaWiki export begins with <mediawiki>")
        self._path.append(name)
        self._pieces, self._chars = [], 0
        if name == "page":
            self._page = {}
        elif name == "redirect":
            self._page["redirect"] = "yes"

    def _characters(self, text: str) -> None:
        self._chars += len(text)
        if self._chars > PAGE_CHARS:
            raise ArtifactError(f"{self._where}: an element holds more than {PAGE_CHARS:,} characters; no page does")
        self._pieces.append(text)

    def _finish(self, name: str) -> None:
        self._path.pop()
        parent = self._path[-1] if self._path else ""
        if (parent, name) in (("page", "title"), ("page", "ns"), ("revision", "text")):
            self._page[name] = "".join(self._pieces)
        elif name == "page":
            self._done.append(_article(self._page, self._where))
        self._pieces, self._chars = [], 0

    def _entity(self, name: str, *_: object) -> None:
        raise ArtifactError(f"{self._where} declares the entity {name!r}; an export has none, so it is refused")


def _article(page: dict[str, str], where: str) -> Unit | Skipped:
    if "title" not in page or "text" not in page:
        raise ArtifactError(f"{where}: a page has no title or no text; the export is not whole")
    if page.get("ns", MAIN_NAMESPACE) != MAIN_NAMESPACE:
        return Skipped("other_namespace")
    if "redirect" in page or page["text"].lstrip()[:9].upper() == "#REDIRECT":
        return Skipped("redirect")
    return Unit(f"page={page['title']}", prose(page["text"]))
