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

from engine.compile.names import Definition, Dotted, Reader, imported_names

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
        self._members: dict[str, frozenset[str]] = {}
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
            reader = Reader(self.file, self.imports)
            reader.read(self.statements[name])
            found = self._definitions[name] = reader.definition
            found.lines = list(self._lines(self.statements[name], found.prose))
        return found

    def members(self, name: str) -> frozenset[str]:
        """What the body of a class binds besides fields; `definition` knows it as `Class.member`."""
        if name not in self._members:
            bodies = (node.body for node in self.statements.get(name, ()) if isinstance(node, ast.ClassDef))
            items = [item for body in bodies for item in body if not _is_field(item)]
            found = [(bound, item) for item in items for bound in _bound_within(item)]
            self._members[name] = frozenset(bound for bound, _ in found)
            for bound, item in found:
                self.statements.setdefault(f"{name}.{bound}", []).append(item)
        return self._members[name]

    def is_union(self, name: str) -> bool:
        """Whether the name is an alias of types: `Annotated[...]`, `A | B`."""
        match self.statements[name][0]:
            case ast.Assign(value=ast.Subscript() | ast.BinOp(op=ast.BitOr())):
                return True
            case _:
                return False

    def text(self, definition: Definition, left_out: frozenset[int]) -> bytes:
        """The lines of a definition without the arms left out, then what its imported names stand for."""
        cut: set[int] = set()
        heads: dict[int, bytes] = {}
        for number, arm in enumerate(definition.arms):
            if arm.case is not None:
                first = self._case_line(arm.case)
                if number in left_out:
                    cut.update(range(first, _last_line(arm.case.body[-1]) + 1))
                else:
                    cut.update(range(first, max(first + 1, _first_line(arm.case.body[0]))))
                    heads[first] = self._head(first, arm.case, _live(definition, number, left_out))
        lines = [heads.get(n, line) for n, line in definition.lines if n in heads or n not in cut]
        used = {load.names[0] for load in definition.loads if load.arm not in left_out}
        origins = (f"{name} is {'.'.join(self.imports[name])}" for name in sorted(used & self.imports.keys()))
        return b"\n".join([*lines, *(origin.encode() for origin in origins)])

    def _head(self, first: int, case: ast.match_case, live: list[ast.pattern]) -> bytes:
        """`case`, the alternatives that can match, the guard: one line however it was laid out."""
        line, body = self._bare[0][first - 1], case.body[0]
        head = line[: len(line) - len(line.lstrip())] + b"case " + b" | ".join(self._segment(p) for p in live)
        if case.guard is not None:
            head += b" if " + self._segment(case.guard)
        return head + b":" + (line[body.col_offset :].rstrip() if body.lineno == first else b"")

    def _segment(self, node: ast.pattern | ast.expr) -> bytes:
        """The text of a node, its lines joined by spaces."""
        lines = self._bare[0][node.lineno - 1 : _last_line(node)]
        lines[-1] = lines[-1][: node.end_col_offset]
        lines[0] = lines[0][node.col_offset :]
        return b" ".join(line.strip() for line in lines)

    def _case_line(self, case: ast.match_case) -> int:
        """The line of the word `case`, which has no place in the tree."""
        number = case.pattern.lineno
        while not self._bare[0][number - 1].lstrip().startswith(b"case"):
            number -= 1
        return number

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
            for number in range(_first_line(statement), _last_line(statement) + 1):
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


def _bound_within(item: ast.stmt) -> list[str]:
    """The names that a statement in the body of a class binds, however deep below an `if`."""
    names = {node.id for node in ast.walk(item) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return _bound_names(item) or sorted(names)


def _is_field(item: ast.stmt) -> bool:
    """Whether it declares a field, of which every instance holds a value of its own."""
    match item:
        case ast.AnnAssign(annotation=annotation):
            return "ClassVar" not in ast.unparse(annotation)
        case _:
            return False


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


def _last_line(node: ast.stmt | ast.expr | ast.pattern) -> int:
    assert node.end_lineno is not None
    return node.end_lineno


def _live(definition: Definition, case: int, left_out: frozenset[int]) -> list[ast.pattern]:
    """The alternatives of a case that are kept."""
    arms = enumerate(definition.arms)
    return [arm.pattern for n, arm in arms if arm.parent == case and arm.case is None and n not in left_out]


def _rows(constant: ast.Constant) -> range:
    return range(constant.lineno, _last_line(constant) + 1)


def _without(line: bytes, number: int, constant: ast.Constant) -> bytes:
    """A line less its share of a string that stands alone; columns count bytes."""
    begin = constant.col_offset if number == constant.lineno else 0
    end = constant.end_col_offset if number == constant.end_lineno else len(line)
    return line[:begin] + line[end:]
