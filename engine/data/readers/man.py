"""Manual pages to text: the macros of man(7) and mdoc(7) that real pages use; a request that is not known is left out.

No typesetting: lines of a paragraph are joined, headings stand alone, and what is shown as it is keeps its lines.
"""

import re
from collections.abc import Iterator
from typing import IO

from engine.data.readers.bounded import whole
from engine.data.readers.html import decoded
from engine.data.readers.unit import Faulty, Skipped, Unit

_ARGUMENTS = re.compile(r'"((?:[^"]|"")*)"?|(\S+)')
_HEADINGS = {"SH", "SS", "Sh", "Ss"}
_BREAKS = frozenset(re.findall(r"\S+", "PP P LP Pp sp HP RS RE Bl El It TP TQ br Bd Ed nf fi EX EE Vb Ve"))
_AS_IT_IS = {"nf", "EX", "Bd", "Vb"}  # Vb and Ve are those of pages made from Perl's pod
_FONTS = {"B", "I", "R", "SM", "SB"}
_ALTERNATING = {"BR", "RB", "BI", "IB", "IR", "RI"}
_MDOC_WORDS = frozenset(
    re.findall(
        r"\S+",
        "Nm Nd Fl Ar Op Pa Em Sy Li Xr Dv Ev Er Fn Ft Fa Va Vt Cm Ic Dq Sq Pq Ql Qq Bq Brq Aq Ux Bx No Ns Tn Ad An Cd "
        "In Lb Ms St Fx",
    )
)
_ESCAPES = {"e": "\\", "t": "\t", "0": " ", "~": " "} | dict.fromkeys("&|^/,%:c", "")
_SPECIAL = {
    "aq": "'",
    "dq": '"',
    "lq": "\u201c",
    "rq": "\u201d",
    "oq": "\u2018",
    "cq": "\u2019",
    "em": "\u2014",
    "en": "\u2013",
    "hy": "-",
    "mi": "-",
    "pl": "+",
    "mu": "x",
    "bu": "*",
    "co": "(c)",
    "rg": "(R)",
    "tm": "(TM)",
    "rs": "\\",
    "ti": "~",
    "ha": "^",
    "ga": "`",
    "aa": "\xb4",
    "lB": "[",
    "rB": "]",
    "lC": "{",
    "rC": "}",
    "la": "<",
    "ra": ">",
    "ul": "_",
    "at": "@",
    "sh": "#",
    "Do": "$",
    "<=": "<=",
    ">=": ">=",
    "!=": "!=",
    "==": "==",
    "->": "->",
    "<-": "<-",
    "+-": "+-",
    "if": "infinity",
    "de": "\xb0",
    "ss": "\xdf",
    ":a": "\xe4",
    ":o": "\xf6",
    ":u": "\xfc",
    "'e": "\xe9",
    "`e": "\xe8",
    "'a": "\xe1",
    "'o": "\xf3",
    "bv": "|",
    "ba": "|",
    "or": "|",
}
_ESCAPE = re.compile(
    r"\\(?:\((..)|\[([^\]\n]{0,40})\]|\*(?:\((..)|\[([^\]\n]{0,40})\]|(.))|f(?:\(..|\[[^\]\n]{0,20}\]|.)"
    r"|s(?:[-+]?\d|\([^)]{0,3}|\[[^\]\n]{0,8}\])|([hvwlLbxoDSHCN])'([^'\n]{0,80})'|[mMnFkY](?:\(..|\[[^\]\n]{0,40}\]|.)|(\".*)|(.))"
)


def read_man(stream: IO[bytes], where: str, most_bytes: int) -> Iterator[Unit | Skipped | Faulty]:
    """The page of a member; one that only points to another (`.so`) is passed over."""
    source = decoded(whole(stream, where, most_bytes))
    if source is None:
        yield Faulty("no_encoding", f"{where}: no encoding fits its bytes; leave it out, or use `faults: skip`")
        return
    text = plain(source)
    yield Unit("", text) if text.strip() else Skipped("no_text")


def plain(source: str) -> str:
    """The text of a page; takes time linear in its length."""
    page = _Page()
    skipping = False  # inside a macro definition
    for line in source.split("\n"):
        if skipping:
            skipping = line.rstrip() != ".."
        elif line.startswith((".de", ".am", ".ig")) and line[3:4] in ("", " ", "1"):
            skipping = True
        elif line[:1] in (".", "'"):
            page.request(line[1:].strip())
        else:
            page.text(unescaped(line))
    return page.finished()


def unescaped(line: str) -> str:
    """A line without font changes and with special characters as Unicode has them."""
    return _ESCAPE.sub(_character, line)


def _character(found: re.Match[str]) -> str:
    two, named, string_two, string_named, string_one, drawn, drawing, comment, one = found.groups()
    name = two or named or string_two or string_named or string_one
    if name is not None:
        if re.fullmatch(r"u[0-9A-F]{4,6}", name):
            point = int(name[1:], 16)
            return chr(point) if point < 0x110000 and not 0xD800 <= point < 0xE000 else ""
        return _SPECIAL.get(name, "")
    if drawn or comment:
        return " " if drawn == "h" and drawing else ""
    return _ESCAPES.get(one, one) if one else ""


class _Page:
    """Paragraphs as they are filled."""

    def __init__(self) -> None:
        self._done: list[str] = []
        self._held: list[str] = []
        self._as_it_is = False

    def text(self, line: str) -> None:
        if not line.strip():
            self._break(blank=True)
        elif self._as_it_is:
            self._done.append(line.rstrip())
        else:
            self._held.append(line.strip())

    def request(self, line: str) -> None:
        name, _, rest = line.partition(" ")
        name = name.strip()
        if name.startswith(('\\"', '"')) or not name:
            return
        if name in _HEADINGS:
            self._break(blank=True)
            self._done += [" ".join(_words(rest)), ""]
        elif name in _AS_IT_IS or name in ("fi", "EE", "Ed", "Ve"):
            self._break(blank=True)
            self._as_it_is = name in _AS_IT_IS
        elif name in _BREAKS or name == "IP":
            self._break(blank=name not in ("br", "RS", "RE"))
            if name in ("IP", "It") and (words := _words(rest)):
                self.text(" ".join(_of_mdoc(words) if name == "It" else words[:1]))
                if name == "It":
                    self._break(blank=False)
        elif name in _FONTS:
            self.text(" ".join(_words(rest)))
        elif name in _ALTERNATING:
            self.text("".join(_words(rest)))
        elif name in _MDOC_WORDS:
            self.text(" ".join(_of_mdoc([name, *_words(rest)])))

    def finished(self) -> str:
        self._break(blank=True)
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self._done)).strip() + "\n"

    def _break(self, blank: bool) -> None:
        if self._held:
            self._done.append(" ".join(self._held))
            self._held = []
        if blank and self._done and self._done[-1]:
            self._done.append("")


def _words(rest: str) -> list[str]:
    """The arguments of a request."""
    found = (quoted.replace('""', '"') if quoted or not word else word for quoted, word in _ARGUMENTS.findall(rest))
    return [unescaped(word) for word in found]


def _of_mdoc(words: list[str]) -> list[str]:
    """The words of an mdoc line without its macros; an option keeps its dash."""
    found: list[str] = []
    dash = False
    for word in words:
        if word == "Fl":
            dash = True
        elif word not in _MDOC_WORDS:
            found.append(("-" if dash else "") + word)
            dash = False
    return found
