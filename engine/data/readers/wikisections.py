"""The lines of a page in sections: headings without text go, and so do the lists that end an article."""

import re
from collections.abc import Iterable

_HEADING = re.compile(r"(={1,6})(.+?)\1")
_ITEM = re.compile(r"^[*#]+[:;*#]*\s*")
_INDENT = re.compile(r"^[:;]+\s*")
_LEFTOVER = re.compile(r"^[|!]|^[-=*#:;.,\s]*$")  # rows of a broken table, rules, items that hold nothing
APPENDICES = {
    "see also", "references", "external links", "further reading", "notes", "bibliography", "footnotes", "sources",
    "citations", "notes and references", "references and notes", "works cited", "gallery",
}  # fmt: skip


def with_text(lines: Iterable[str]) -> str:
    """The page: a heading stands before the first text of its section or of a section below it."""
    pending: list[tuple[int, str]] = []  # headings that no text has followed yet
    hidden = 0  # the level of the appendix that we are in
    kept: list[str] = []
    for line in lines:
        heading = _HEADING.fullmatch(line)
        if heading:
            level, title = len(heading[1]), heading[2].strip()
            if hidden and level > hidden:
                continue
            hidden = level if title.lower() in APPENDICES else 0
            pending = [(deep, name) for deep, name in pending if deep < level]
            if not hidden:
                pending.append((level, title))
        elif not hidden:
            _add(kept, pending, line)
    return "\n".join(kept).strip("\n")


def _add(kept: list[str], pending: list[tuple[int, str]], line: str) -> None:
    """Adds a line of text, after the headings that waited for it; empty lines never stand together."""
    if _LEFTOVER.search(line):
        if kept and kept[-1]:
            kept.append("")
        return
    for _, title in pending:
        kept.extend(["", title, ""] if kept and kept[-1] else [title, ""])
    pending.clear()
    kept.append(_INDENT.sub("", _ITEM.sub("- ", line)))
