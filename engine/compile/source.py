"""One engine module as definitions, and the text of each without comments, docstrings and blank lines.

Text is cut from the source bytes and never rebuilt from tokens or trees, which differ between Python versions.
"""

import ast
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import final

from engine.compile.names import Definition, Dotted, Reader, imported_names, last_line

TOP = "<top>"  # what a module does when it is imported, beyond binding names
MAIN = "<main>"  # what it does when it is run

_LITERAL = re.compile(
    rb"#[^\n]*"
    rb'|"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"""'
    rb"|'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''"
    rb'|"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
    rb"|'[^'\\\n]*(?:\\.[^'\\\n]*)*'",
    re.DOTALL,
)


@final
class Module:
    """A parsed module; definitions are read when they are asked for."""

    def __init__(self, name: Dotted, file: Path) -> None:
        self.name = name
        self.file = file
        self.source = file.read_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        self.statements: dict[str, list[ast.stmt]] = {TOP: [], MAIN: []}
        self.imports: dict[str, Dotted] = {}
        self._definitions: dict[str, Definition] = {}
        for statement in ast.parse(self.source, str(file)).body:
            self._sort(statement)

    def _sort(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            self.imports.update(imported_names(statement, self.file))
        elif _is_main_guard(statement):
            self.statements[MAIN].append(statement)
        elif names := _bound_names(statement):
            for name in names:
                self.statements.setdefault(name, []).append(statement)
        elif not _is_prose(statement):
            self.statements[TOP].append(statement)
            for inner in ast.walk(statement):
                if isinstance(inner, ast.Import | ast.ImportFrom):
                    self.imports.update(imported_names(inner, self.file))

    def definition(self, name: str) -> Definition:
        """The definition of a name that the module binds, or TOP or MAIN."""
        found = self._definitions.get(name)
        if found is None:
            reader = Reader(self.file, self.imports, self._bare[0])
            reader.read(self.statements[name])
            found = self._definitions[name] = reader.definition
            found.lines = list(self._lines(self.statements[name], found.prose))
        return found

    def method(self, name: str, method: str) -> Definition | None:
        """One function in the body of a class."""
        key = f"{name}.{method}"
        for statement in self.statements.get(name, ()):
            body = statement.body if isinstance(statement, ast.ClassDef) else []
            self.statements.setdefault(
                key, [item for item in body if isinstance(item, ast.FunctionDef) and item.name == method]
            )
        return self.definition(key) if self.statements.get(key) else None

    @cached_property
    def _bare(self) -> tuple[list[bytes], frozenset[int]]:
        """Lines without comments, and the numbers (from 1) of those whose end lies inside a string."""
        text = bytearray(self.source)
        inside: set[int] = set()
        starts = [0, *(match.end() for match in re.finditer(rb"\n", self.source))]
        for match in _LITERAL.finditer(self.source):
            if match[0].startswith(b"#"):
                text[match.start() : match.end()] = b" " * len(match[0])
            elif b"\n" in match[0]:
                inside.update(range(bisect_right(starts, match.start()), bisect_right(starts, match.end() - 1)))
        return bytes(text).split(b"\n"), frozenset(inside)

    def _lines(self, statements: Iterable[ast.stmt], prose: list[ast.Constant]) -> Iterator[tuple[int, bytes]]:
        text, inside = self._bare
        told = {line: constant for constant in prose for line in _rows(constant)}
        for statement in statements:
            for number in range(_first_line(statement), last_line(statement) + 1):
                line = text[number - 1]
                if number in told:
                    line = _without(line, number, told[number])
                if number not in inside or number in told:
                    line = line.rstrip()
                    if not line:
                        continue
                yield number, line


def _bound_names(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return [statement.name]
        case ast.Assign(targets=targets):
            names = [_target_names(target) for target in targets]
            return [] if any(not found for found in names) else [name for found in names for name in found]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case _:
            return []


def _target_names(target: ast.expr) -> list[str]:
    match target:
        case ast.Name(id=name):
            return [name]
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return [name for item in items for name in _target_names(item)]
        case _:
            return []


def _is_main_guard(statement: ast.stmt) -> bool:
    match statement:
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
            return True
        case _:
            return False


def _is_prose(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _first_line(statement: ast.stmt) -> int:
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return min([statement.lineno, *(decorator.lineno for decorator in statement.decorator_list)])
        case _:
            return statement.lineno


def _rows(constant: ast.Constant) -> range:
    return range(constant.lineno, last_line(constant) + 1)


def _without(line: bytes, number: int, constant: ast.Constant) -> bytes:
    """A line less its share of a string that stands alone; columns count bytes."""
    begin = constant.col_offset if number == constant.lineno else 0
    end = constant.end_col_offset if number == constant.end_lineno else len(line)
    return line[:begin] + line[end:]
