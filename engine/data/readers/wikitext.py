"""MediaWiki markup reduced to the prose that a reader of the page sees; each pass is linear in the text.

Our own and small, so that no release of a parser library changes the words of a corpus. Gone: comments, references,
templates (but for a few that hold words), tables, files, categories, formulas, and the lists that end an article
(references, links, further reading). Kept: paragraphs, headings of sections that have text, list items.
"""

import html
import re

from engine.data.readers.wikisections import with_text

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_NOWIKI = re.compile(r"<nowiki>(.*?)(?:</nowiki>|\Z)", re.DOTALL | re.IGNORECASE)
_UNSEEN = "ref|references|math|chem|ce|gallery|timeline|score|imagemap|graph|syntaxhighlight|source|hiero|templatedata"
_UNSEEN_TAG = re.compile(rf"<(/?)({_UNSEEN}|table)\b[^<>]*?(/?)>", re.IGNORECASE)
_BRACES = re.compile(r"\{\{|\}\}|^[ \t:*#]*\{\||^[ \t]*\|\}(?!\})", re.MULTILINE)
_INNER_TEMPLATE = re.compile(r"\{\{([^{}]*)\}\}")
_SQUARES = re.compile(r"\[\[|\]\]")
_EXTERNAL = re.compile(r"\[(?:https?:|ftp:|mailto:|//)[^\s\[\]]*([^\[\]]*)\]", re.IGNORECASE)
_BREAK = re.compile(r"<br\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_QUOTES = re.compile(r"'{2,}")
_MAGIC = re.compile(r"__[A-Z]+__")
_HOLE = re.compile(r"\(\s*(?:[,;:]\s*)*")  # what a removed pronunciation leaves behind
_EMPTY = re.compile(r"[ ]?\(\s*\)")
_LOOSE = re.compile(r"[ ]+([,.;:)])(?=[\s)]|$)", re.MULTILINE)
_BLANKS = re.compile(r"[ \t\u00a0]+")
_NO_TEXT = {"file", "image", "category", "media", "template", "portal"}
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[a-z]+)*|simple")


def prose(markup: str) -> str:
    """The text of a page: paragraphs and list items by line, an empty line between paragraphs."""
    text = _COMMENT.sub("", markup)
    text = _NOWIKI.sub(lambda found: "".join(f"&#{ord(c)};" for c in found[1]), text)
    text = _without_unseen(text)
    text = _INNER_TEMPLATE.sub(lambda found: _worded(found[1]), text)
    text = _without_braces(text)
    text = _EXTERNAL.sub(lambda found: found[1].strip(), _linked(text))
    text = _TAG.sub("", _BREAK.sub(" ", text))
    text = _MAGIC.sub("", _QUOTES.sub(_apostrophes, text))
    return with_text(_tidy(line) for line in html.unescape(text).split("\n"))


def _apostrophes(found: re.Match[str]) -> str:
    """Two, three or five are italic, bold or both; of others the ones too many are meant as they are."""
    count = len(found[0])
    return "'" * (count - (5 if count >= 5 else 3 if count >= 3 else 2))


def _tidy(line: str) -> str:
    line = _BLANKS.sub(" ", line)
    return _LOOSE.sub(r"\1", _EMPTY.sub("", _HOLE.sub("(", line))).strip()


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    """The text between the spans, which are sorted and apart."""
    edges = [0, *(edge for span in spans for edge in span), len(text)]
    return "".join(text[edges[i] : edges[i + 1]] for i in range(0, len(edges), 2))


def _without_unseen(text: str) -> str:
    """Without references, formulas and their like; a tag that is never closed takes nothing with it."""
    tags = [(m.start(), m.end(), m[2].lower(), bool(m[1]), bool(m[3])) for m in _UNSEEN_TAG.finditer(text)]
    last_close = {name: start for start, _, name, closing, _ in tags if closing}
    spans: list[tuple[int, int]] = []
    inside = ""
    for start, end, name, closing, alone in tags:
        if inside:
            if closing and name == inside:
                spans[-1], inside = (spans[-1][0], end), ""
            continue
        spans.append((start, end))
        if not closing and not alone and last_close.get(name, -1) > start:
            inside = name
    return _without(text, spans)


def _worded(inner: str) -> str:
    """A template without templates in it: its words, where they belong to the sentence, or the template as it was."""
    parts = [part.strip() for part in inner.split("|")]
    plain = [part for part in parts[1:] if "=" not in part]
    match parts[0].lower():
        case "lang" | "transl" if len(plain) >= 2:
            return plain[-1]
        case "nowrap" | "quote" | "blockquote" | "nobold" | "smallcaps" | "abbr" if plain:
            return plain[0]
        case "convert" | "cvt" if len(plain) >= 2:
            return f"{plain[0]} {plain[1]}"
        case _:
            return "{{" + inner + "}}"


def _without_braces(text: str) -> str:
    """Without templates and tables, however nested; an opening that is never closed takes nothing but itself."""
    opened: list[tuple[str, int, int]] = []
    spans: list[tuple[int, int]] = []
    for found in _BRACES.finditer(text):
        token = found[0].strip(" \t:*#")
        if token in ("{{", "{|"):
            opened.append((token, found.start(), found.end()))
            continue
        wanted = "{{" if token == "}}" else "{|"
        if not any(kind == wanted for kind, _, _ in opened[-64:]):  # deeper nesting than that is damage
            spans.append(found.span())
            continue
        while opened[-1][0] != wanted:
            opened.pop()
        start = opened.pop()[1]
        while spans and spans[-1][0] >= start:
            spans.pop()
        spans.append((start, found.end()))
    lone = [(start, end) for _, start, end in opened]  # inside no span: its end would have closed them
    return _without(text, sorted(spans + lone))


def _linked(text: str) -> str:
    """Links as the words that they show, from the innermost out."""
    stack: list[list[str]] = [[]]
    position = 0
    for found in _SQUARES.finditer(text):
        stack[-1].append(text[position : found.start()])
        position = found.end()
        if found[0] == "[[":
            stack.append([])
        elif len(stack) > 1:
            shown = _shown("".join(stack.pop()))
            stack[-1].append(shown)
    stack[-1].append(text[position:])
    return "".join(piece for pieces in stack for piece in pieces)


def _shown(link: str) -> str:
    """What a link shows: its label, or its target; nothing for files, categories and other languages."""
    target, bar, label = link.partition("|")
    target = target.strip()
    space, colon, rest = target.removeprefix(":").partition(":")
    space = space.strip().lower()
    interwiki = not bar and _LANGUAGE.fullmatch(space) is not None and not rest.startswith(" ")
    if colon and not target.startswith(":") and (space in _NO_TEXT or interwiki):
        return ""
    if bar and label.strip():
        return label.rpartition("|")[2]
    if bar:  # the pipe trick: the target without its namespace and its parenthesis
        return re.sub(r"\s*\([^()]*\)$", "", rest if colon else target)
    return target.removeprefix(":")
