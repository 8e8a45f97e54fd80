"""Files and pages over HTTP: streamed, retried when the failure may pass, told clearly when it does not."""

import base64
import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import IO, Any, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

from engine.artifacts.progress import progress
from engine.data.sources.receive import CHUNK_BYTES, Origin, receive
from engine.spec.errors import ArtifactError

T = TypeVar("T")
TIMEOUT_SECONDS = 60.0
PAUSES_SECONDS = (0.5, 2.0, 8.0)  # before the second, third and fourth try; assumed, not measured
_PASSING = {408, 425, 429, 500, 502, 503, 504}
_FAILURES = (OSError, http.client.HTTPException)


def download(url: str, label: str, part: IO[bytes], certificates: str | None = None) -> Origin:
    """Streams a URL into `part`; every try begins anew. ArtifactError after the last one."""

    def once() -> str:
        with _open(url, "*/*", certificates) as answer:
            return receive(_body(answer, label), part)

    return Origin(public(url), _retried(once, url))


def page(url: str, accept: str, certificates: str | None = None) -> tuple[str, bytes, str] | None:
    """Content type, body and final URL of a page; None when the server says that there is none."""

    def once() -> tuple[str, bytes, str] | None:
        try:
            with _open(url, accept, certificates) as answer:
                return answer.headers.get_content_type(), answer.read(), answer.geturl()
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (404, 410):
                return None
            raise

    return _retried(once, url)


def public(url: str) -> str:
    """The URL without user name and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _open(url: str, accept: str, certificates: str | None) -> Any:
    headers = {"Accept": accept, "Accept-Encoding": "identity", "User-Agent": "facsimile"}
    request = urllib.request.Request(public(url), headers=headers)
    login = urlsplit(url).netloc.rpartition("@")[0]
    if login:
        token = base64.b64encode(unquote(login).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    context = ssl.create_default_context(cafile=certificates) if url.startswith("https:") else None
    return urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS, context=context)


def _body(answer: Any, label: str) -> Iterator[bytes]:
    length = answer.headers.get("Content-Length")
    expected = int(length) if length is not None and length.isdigit() else None
    pieces = iter(lambda: answer.read(CHUNK_BYTES), b"")
    got = 0
    for chunk in progress(pieces, None if expected is None else -(-expected // CHUNK_BYTES), "MiB", f"fetch {label}"):
        got += len(chunk)
        yield chunk
    if expected is not None and got < expected:
        raise http.client.IncompleteRead(b"", expected - got)


def _retried(once: Callable[[], T], url: str) -> T:
    for pause in PAUSES_SECONDS:
        try:
            return once()
        except _FAILURES as error:
            if not _may_pass(error):
                raise _told(error, url) from error
        time.sleep(pause)
    try:
        return once()
    except _FAILURES as error:
        raise _told(error, url) from error


def _may_pass(error: Exception) -> bool:
    match error:
        case urllib.error.HTTPError():
            return error.code in _PASSING
        case urllib.error.URLError():
            return not isinstance(error.reason, ssl.SSLCertVerificationError)
        case http.client.HTTPException() | TimeoutError() | ConnectionError() | ssl.SSLError():
            return True
        case _:
            return False  # the disk's trouble, not the network's


def _told(error: Exception, url: str) -> Exception:
    """What went wrong, for a person; trouble of our own disk is passed on as it is."""
    match error:
        case urllib.error.HTTPError():
            error.close()
            what = f"the server answered {error.code} {error.reason}"
        case urllib.error.URLError():
            what = f"no connection ({error.reason})"
        case http.client.HTTPException() | TimeoutError() | ConnectionError() | ssl.SSLError():
            what = f"the connection broke ({error!r})"
        case _:
            return error
    return ArtifactError(
        f"cannot fetch {public(url)}: {what}; run again when it is reachable, or serve the file by its sha256 from a "
        "mirror (FACSIMILE_MIRRORS=folder)"
    )
