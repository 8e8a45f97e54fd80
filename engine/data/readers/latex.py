"""LaTeX sources: comments out, macros without arguments written out, from the first sectioning on, as RedPajama has it.

Source: the arXiv cleaning of RedPajama-Data v1. What stands before the first section (title, preamble) and what follows
the bibliography or the appendix goes; a source without sections keeps its body.
"""

import re
from collections.abc import Iterator
from typing import IO

from engine.data.readers.bounded import whole
from engine.data.readers.text import decode
from engine.data.readers.unit import Unit

MOST_MACROS = 1000  # of one source; more are left as they stand
_COMMENT = re.compile(r"(?<!\\)%.*")
_COMMENT_LINE = re.compile(r"(?m)^[ \t]*%.*\n?")
_DEFINITION = re.compile(
    r"\\(?:newcommand|renewcommand|providecommand)\*?\s*(?:\{\s*(\\[A-Za-z]+)\s*\}|(\\[A-Za-z]+))\s*\{"
    r"|\\def\s*(\\[A-Za-z]+)\s*\{"
)
_SECTION = re.compile(r"\\(?:part|chapter|section|subsection|subsubsection|paragraph|subparagraph)\*?\s*[\[{]")
_BODY = re.compile(r"\\begin\s*\{document\}")
_END = re.compile(
    r"\\(?:appendix\b|begin\s*\{(?:references|REFERENCES|thebibliography)\}|bibliography\s*\{|end\s*\{document\})"
)
_NAME = re.compile(r"\\[A-Za-z]+")


def read_latex(stream: IO[bytes], where: str, most_bytes: int) -> Iterator[Unit]:
    """The source of a member as one text."""
    yield Unit("", plain(decode(whole(stream, where, most_bytes), where)))


def plain(source: str) -> str:
    """The body of a source; takes time linear in its length."""
    source = _COMMENT.sub("", _COMMENT_LINE.sub("", source.replace("\r\n", "\n")))
    macros = _macros(source)
    body = source[_begin(source) :]
    end = _END.search(body)
    body = body[: end.start()] if end else body
    return _NAME.sub(lambda name: macros.get(name.group(), name.group()), body).strip() + "\n"


def _begin(source: str) -> int:
    document = _BODY.search(source)
    begin = document.end() if document else 0
    section = _SECTION.search(source, begin)
    return section.start() if section else begin


def _macros(source: str) -> dict[str, str]:
    """The macros that take no argument and whose definition closes; the last definition of a name holds."""
    found: dict[str, str] = {}
    for definition in _DEFINITION.finditer(source):
        end = _closing(source, definition.end())
        if end is not None and len(found) < MOST_MACROS:
            name = next(group for group in definition.groups() if group)
            found[name] = source[definition.end() : end]
    return found


def _closing(source: str, begin: int) -> int | None:
    """The place of the brace that closes what was opened before `begin`, at most a thousand characters on."""
    depth = 1
    for place in range(begin, min(begin + 1000, len(source))):
        char = source[place]
        if char in "{}" and source[place - 1] != "\\":
            depth += 1 if char == "{" else -1
        if depth == 0:
            return place
    return None
