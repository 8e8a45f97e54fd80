"""One YAML file to a tree of plain values: the YAML 1.2 core schema, with nothing that shares, tags or repeats."""

import math
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.scanner import Scanner

from engine.spec.errors import Problem
from engine.spec.tree import Node, Scalar, Spot, Trail, describe, dotted

LIMIT_BYTES = 1 << 20
LIMIT_DEPTH = 32
LIMIT_DIGITS = 1000
LIMIT_PROBLEMS = 100  # a hostile file gives no endless report

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_MAYBE_NUMBER = frozenset("+-.0123456789")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class _Scanner(Scanner):
    """ruamel's scanner with its hottest question asked in a cheaper order; the answers are the same."""

    def need_more_tokens(self) -> bool:
        if self.done:
            return False
        if not self.tokens:
            return True
        if not self.possible_simple_keys:
            return False
        self.stale_possible_simple_keys()
        return bool(self.next_possible_simple_key() == self.tokens_taken)


class _UnreadableError(Exception):
    """No tree can be built; carries the last problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


def read(path: Path) -> tuple[Node | None, list[Problem]]:
    """The tree of a YAML file, None where it cannot be built at all, and everything that is wrong with its form."""
    file = str(path)
    try:
        with path.open("rb") as stream:
            raw = stream.read(LIMIT_BYTES + 1)
    except OSError as error:
        return None, [Problem(f"cannot be read: {error.strerror}", file=file)]
    return parse(raw, file)


def parse(raw: bytes, file: str) -> tuple[Node | None, list[Problem]]:
    """As `read`, from bytes; `file` is the name that messages show."""
    tree, problems = _parsed(raw, file)
    return tree, list(problems)


@lru_cache(maxsize=256)  # a base is read once for each spec that extends it
def _parsed(raw: bytes, file: str) -> tuple[Node | None, tuple[Problem, ...]]:
    builder = _Builder(file)
    try:
        return builder.document(_events(_text(raw, file), file)), tuple(builder.problems)
    except _UnreadableError as error:
        return None, (*builder.problems, error.problem)


def scalar(text: str) -> Scalar:
    """The value of a plain scalar by the YAML 1.2 core schema; ValueError for NaN, infinity and numbers too long."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _MAYBE_NUMBER:
        return text
    if _INT.fullmatch(text):
        if len(text) > LIMIT_DIGITS:
            raise ValueError(f"a number of {len(text)} digits; put it in quotes if it is text")
        return int(text, 0 if text[:2] in ("0o", "0x") else 10)
    if _NOT_FINITE.fullmatch(text) or (_FLOAT.fullmatch(text) and math.isinf(float(text))):
        raise ValueError(f"{text} is not a finite number; put it in quotes if it is text")
    return float(text) if _FLOAT.fullmatch(text) else text


def spell(value: Scalar) -> str:
    """The one text of a scalar that names a cell of a matrix: `1`, `0.001`, `true`, `dc1`."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case float():
            return repr(value)
        case _:
            return str(value)


def _text(raw: bytes, file: str) -> str:
    if len(raw) > LIMIT_BYTES:
        raise _UnreadableError(Problem(f"is longer than {LIMIT_BYTES:,} bytes; a spec is a page or two", file=file))
    try:
        text = raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8").removeprefix("\ufeff")
        message = f"byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise _UnreadableError(_problem(message, _spot_after(before, file))) from None
    found = _UNPRINTABLE.search(text)
    if found is not None:
        message = f"the character U+{ord(found[0]):04X} may not stand in YAML"
        raise _UnreadableError(_problem(message, _spot_after(text[: found.start()], file)))
    return text


def _spot_after(text: str, file: str) -> Spot:
    lines = re.split("\r\n|\r|\n", text)
    return Spot(file, len(lines), len(lines[-1]) + 1)


def _problem(message: str, spot: Spot, trail: Trail = ()) -> Problem:
    return Problem(message, dotted(trail), spot.file, spot.line, spot.column)


def _events(text: str, file: str) -> Iterator[Any]:
    """ruamel's events; a syntax error becomes a problem with its place."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Scanner = _Scanner
    line, column = 1, 1
    try:
        for event in yaml.parse(text):
            line, column = event.start_mark.line + 1, event.start_mark.column + 1
            yield event
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        spot = Spot(file, mark.line + 1, mark.column + 1) if mark else Spot(file, line, column)
        raise _UnreadableError(_problem(_syntax(error), spot)) from None
    except (YAMLError, ValueError) as error:  # ValueError: an escape beyond Unicode, a version beyond int()
        raise _UnreadableError(_problem(f"is not YAML after this place: {error}", Spot(file, line, column))) from None


def _syntax(error: MarkedYAMLError) -> str:
    problem = str(error.problem)
    if "'\\t'" in problem:
        return "a tab may not indent YAML; use spaces"
    if error.context is None:
        return f"is not YAML: {problem}"
    mark = error.context_mark
    where = f" that starts in line {mark.line + 1}" if mark else ""
    return f"is not YAML: {problem} ({error.context}{where})"


class _Builder:
    """Turns events into nodes and notes every problem on the way; reads on where a sensible value is at hand."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []

    def document(self, events: Iterator[Any]) -> Node:
        root: Node | None = None
        for event in events:
            if isinstance(event, DocumentStartEvent):
                self._check_start(event, root)
            elif isinstance(event, NodeEvent):
                root = self._node(event, events, ())
        if root is None:
            message = "is empty; a spec is a mapping that starts with `format: 1`"
            raise _UnreadableError(_problem(message, Spot(self.file, 1, 1)))
        if not isinstance(root.value, dict):
            message = f"a spec is a mapping of keys to values, found {describe(root.value)}"
            raise _UnreadableError(_problem(message, root.spot))
        return root

    def _check_start(self, event: Any, root: Node | None) -> None:
        if root is not None:
            raise _UnreadableError(_problem("a second document starts here; a file holds one", self._spot(event)))
        if event.version or event.tags:
            message = "directives (%YAML, %TAG) are not part of this language; take the line out"
            self._note(message, Spot(self.file, 1, 1))

    def _node(self, event: Any, events: Iterator[Any], trail: Trail, key: Spot | None = None) -> Node:
        mark = event.start_mark
        spot = Spot(self.file, mark.line + 1, mark.column + 1)
        if len(trail) > LIMIT_DEPTH:
            raise _UnreadableError(_problem(f"is nested deeper than {LIMIT_DEPTH} levels", spot))
        if isinstance(event, AliasEvent):
            self._note(f"*{event.anchor}: aliases are not part of this language; write the value out", spot, trail)
            return Node(None, spot, key or spot)
        if event.anchor is not None:
            self._note(f"&{event.anchor}: anchors are not part of this language; take it out", spot, trail)
        if event.tag is not None:
            self._note(f"{event.tag}: tags are not part of this language; take it out", spot, trail)
        if isinstance(event, ScalarEvent):
            return Node(self._scalar(event, spot, trail), spot, key or spot)
        if isinstance(event, SequenceStartEvent):
            return Node(self._items(events, trail), spot, key or spot)
        assert isinstance(event, MappingStartEvent)
        return Node(self._entries(events, trail), spot, key or spot)

    def _scalar(self, event: Any, spot: Spot, trail: Trail) -> Scalar:
        if not event.implicit[0]:
            if not event.value.isascii() and _SURROGATE.search(event.value):
                self._note("half of a surrogate pair is not text", spot, trail)
                return ""
            return str(event.value)
        try:
            return scalar(event.value)
        except ValueError as error:
            self._note(str(error), spot, trail)
            return None

    def _items(self, events: Iterator[Any], trail: Trail) -> list[Node]:
        items: list[Node] = []
        while not isinstance(event := next(events), SequenceEndEvent):
            items.append(self._node(event, events, (*trail, len(items))))
        return items

    def _entries(self, events: Iterator[Any], trail: Trail) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        while not isinstance(event := next(events), MappingEndEvent):
            key = self._node(event, events, trail)
            name = key.value if isinstance(key.value, str) else ""
            child = self._node(next(events), events, (*trail, name), key.spot)
            if not isinstance(key.value, str):
                mend = "" if isinstance(key.value, dict | list) else "; put it in quotes"
                self._note(f"a key is text, found {describe(key.value)}{mend}", key.spot, trail)
            elif name in entries:
                first = entries[name].key
                self._note(f"is already set in line {first.line}; a key stands once", key.spot, (*trail, name))
            else:
                entries[name] = child
        return entries

    def _spot(self, event: Any) -> Spot:
        return Spot(self.file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _note(self, message: str, spot: Spot, trail: Trail = ()) -> None:
        if len(self.problems) >= LIMIT_PROBLEMS:
            message = f"more than {LIMIT_PROBLEMS} problems; the rest of the file was not read"
            raise _UnreadableError(_problem(message, spot))
        self.problems.append(_problem(message, spot, trail))
