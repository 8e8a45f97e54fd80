"""What statements name: a walk that notes every use of a name that is not local, arm of `match` by arm."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, final

NO_ARM = -1
NOTED = ("kernels", "record", "ran")
"""What a backend tells of itself names it, and chooses nothing: such texts open no arm of a `match`."""

Dotted = tuple[str, ...]
"""A dotted name from the root of packages: ("engine", "data", "pack", "deal")."""


class Load(NamedTuple):
    """A use of a name that is not local: `names` is the name and the attributes read from it."""

    arm: int
    names: Dotted
    makes: bool  # False in a pattern or an annotation: naming a class there makes no instance of it


class Arm(NamedTuple):
    """One `case`, or one alternative of its pattern, whose parent is the case and which has no lines of its own."""

    parent: int
    pattern: ast.pattern
    strings: frozenset[str]
    """The string patterns of the whole `match`."""
    case: ast.match_case | None


@final
@dataclass(slots=True)
class Definition:
    """Statements that bind one name, or that a module runs: what they say and what they name."""

    lines: list[tuple[int, bytes]] = field(default_factory=list)
    arms: list[Arm] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)  # relative to the module
    imported: list[Load] = field(default_factory=list)  # through imports inside functions: already absolute
    texts: list[tuple[int, str]] = field(default_factory=list)
    attributes: list[tuple[int, str]] = field(default_factory=list)
    prose: list[ast.Constant] = field(default_factory=list)  # strings that stand alone: docstrings


@dataclass(slots=True)
class _Scope:
    """A function, comprehension or class that is being read."""

    is_function: bool
    keeps: bool  # whether names bound here hide outer ones: not so in a class, whose methods do not see them
    bound: set[str] = field(default_factory=set)
    free: set[str] = field(default_factory=set)  # declared global or nonlocal
    imports: list[tuple[str, int, Dotted]] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)


@final
class Reader:
    """Walks statements once, and notes what they name; a name that turns out to be local is forgotten."""

    def __init__(self, file: Path, imports: Mapping[str, Dotted]) -> None:
        self.file = file
        self.imports = imports  # of the whole module
        self.definition = Definition()
        self.arm = NO_ARM
        self.scopes: list[_Scope] = []

    def read(self, statements: Iterable[ast.stmt]) -> None:
        self._open(is_function=False, keeps=False)
        for statement in statements:
            self._visit(statement)
        self.definition.loads = self.scopes.pop().loads

    def _open(self, *, is_function: bool, keeps: bool) -> None:
        self.scopes.append(_Scope(is_function, keeps))

    def _close(self) -> None:
        scope, outer = self.scopes.pop(), self.scopes[-1]
        hidden = scope.bound - scope.free if scope.keeps else set()
        for load in scope.loads:
            targets = self._imported(load, scope)
            self.definition.imported += (Load(load.arm, (*t, *load.names[1:]), load.makes) for t in targets)
            if not targets and load.names[0] not in hidden:
                outer.loads.append(load)

    def _imported(self, load: Load, scope: _Scope) -> list[Dotted]:
        """What a name stands for by the imports of its function: those of its own arm or one round it, if any."""
        found = [(arm, target) for name, arm, target in scope.imports if name == load.names[0]]
        near = [target for arm, target in found if self._is_within(load.arm, arm)]
        return near or [target for _, target in found]

    def _is_within(self, arm: int, outer: int) -> bool:
        while arm not in (outer, NO_ARM):
            arm = self.definition.arms[arm].parent
        return arm == outer

    def _bind(self, name: str) -> None:
        self.scopes[-1].bound.add(name)

    def _visit_all(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self._visit(node)

    def _visit(self, node: ast.AST) -> None:
        match node:
            case ast.Name():
                self._name(node, ())
            case ast.Constant():
                if isinstance(node.value, str):
                    self.definition.texts.append((self.arm, node.value))
            case ast.Attribute():
                self._attribute(node)
            case ast.JoinedStr():  # its pieces of text are cut otherwise from Python 3.12 on, and name nothing
                self._visit_all(value for value in node.values if not isinstance(value, ast.Constant))
            case ast.Call(func=ast.Name(id=name)) if self.imports.get(name, ())[1:] == NOTED:
                self._visit(node.func)
                given = [*node.args, *(keyword.value for keyword in node.keywords)]
                self._visit_all(value for value in given if not isinstance(value, ast.Constant))
            case ast.Call():
                self._refuse(node)
                self._children(node)
            case ast.expr_context() | ast.operator() | ast.cmpop() | ast.boolop() | ast.unaryop():
                pass
            case ast.Expr(value=ast.Constant(value=str()) as prose):
                self.definition.prose.append(prose)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                self._function(node)
            case ast.ClassDef():
                self._class(node)
            case ast.AnnAssign():
                self._annotated(node)
            case ast.Match():
                self._match(node)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                self._comprehension(node)
            case ast.Import() | ast.ImportFrom():
                for name, target in imported_names(node, self.file).items():
                    self.scopes[-1].imports.append((name, self.arm, target))
            case ast.Global() | ast.Nonlocal():
                self.scopes[-1].free.update(node.names)
            case ast.NamedExpr():
                next(s for s in reversed(self.scopes) if s.is_function or not s.keeps).bound.add(node.target.id)
                self._visit(node.value)
            case ast.ExceptHandler():
                if node.name:
                    self._bind(node.name)
                self._children(node)
            case ast.pattern():
                self._pattern(node)
            case _:
                self._children(node)

    def _children(self, node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            self._visit(child)

    def _name(self, node: ast.Name, attributes: Dotted, makes: bool = True) -> None:
        if isinstance(node.ctx, ast.Load):
            self.scopes[-1].loads.append(Load(self.arm, (node.id, *attributes), makes))
        else:
            self._bind(node.id)

    def _attribute(self, node: ast.Attribute, makes: bool = True) -> None:
        attributes: list[str] = []
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):
            attributes.insert(0, inner.attr)
            inner = inner.value
        self.definition.attributes += ((self.arm, name) for name in attributes)
        if isinstance(inner, ast.Name):
            self._name(inner, tuple(attributes), makes)
        else:
            self._visit(inner)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        """What an argument is annotated with names the class whose methods the function may call on it."""
        if not isinstance(node, ast.Lambda):
            self._bind(node.name)
            self._visit_all(node.decorator_list)
        self._visit_all((*node.args.defaults, *node.args.kw_defaults))
        arguments = [item for item in ast.iter_child_nodes(node.args) if isinstance(item, ast.arg)]
        for argument in arguments:
            self._annotation(argument.annotation)
        self._open(is_function=True, keeps=True)
        for argument in arguments:
            self._bind(argument.arg)
        self._visit_all([node.body] if isinstance(node, ast.Lambda) else node.body)
        self._close()

    def _class(self, node: ast.ClassDef) -> None:
        self._bind(node.name)
        self._visit_all((*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)))
        self._open(is_function=False, keeps=False)
        self._visit_all(node.body)
        self._close()

    def _annotated(self, node: ast.AnnAssign) -> None:
        """In the body of a class an annotation works: it makes the fields of a dataclass or a Pydantic model."""
        in_class = len(self.scopes) > 1 and not self.scopes[-1].keeps
        if in_class:
            self._annotation(node.annotation)
        self._visit(node.target)
        if node.value is not None:
            self._visit(node.value)

    def _annotation(self, node: ast.AST | None) -> None:
        """Every name in it; naming a class makes no instance of it."""
        match node:
            case None:
                return
            case ast.Name():
                self._name(node, (), makes=False)
            case ast.Attribute():
                self._attribute(node, makes=False)
            case _:
                for inner in ast.iter_child_nodes(node):
                    self._annotation(inner)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        self._visit(node.generators[0].iter)
        self._open(is_function=False, keeps=True)
        for index, generator in enumerate(node.generators):
            self._visit(generator.target)
            self._visit_all(generator.ifs)
            if index:
                self._visit(generator.iter)
        self._visit_all([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt])
        self._close()

    def _match(self, node: ast.Match) -> None:
        self._visit(node.subject)
        strings = frozenset(text for case in node.cases for text in string_patterns(case.pattern))
        outer = self.arm
        for case in node.cases:
            number = self._arm(Arm(outer, case.pattern, strings, case))
            for alternative in case.pattern.patterns if isinstance(case.pattern, ast.MatchOr) else [case.pattern]:
                self._arm(Arm(number, alternative, strings, None))
                self._visit(alternative)
            self.arm = number
            self._visit_all((case.guard, *case.body))
            self.arm = outer

    def _arm(self, arm: Arm) -> int:
        """What is read from here on belongs to this arm."""
        self.definition.arms.append(arm)
        self.arm = len(self.definition.arms) - 1
        return self.arm

    def _pattern(self, node: ast.pattern) -> None:
        if isinstance(node, ast.MatchClass):
            self.definition.attributes += ((self.arm, name) for name in node.kwd_attrs)
        match node:
            case ast.MatchClass(cls=ast.Name() as name):
                self._name(name, (), makes=False)
            case ast.MatchClass(cls=ast.Attribute() as attribute):
                self._attribute(attribute, makes=False)
            case ast.MatchValue(value=ast.Constant()):
                pass  # a string that is only compared with
            case ast.MatchValue(value=value):
                self._visit(value)
            case ast.MatchAs(name=str(bound)) | ast.MatchStar(name=str(bound)) | ast.MatchMapping(rest=str(bound)):
                self._bind(bound)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.pattern):
                self._visit(child)

    def _refuse(self, node: ast.Call) -> None:
        """Calls that hide what they name cannot be followed."""
        name = ast.unparse(node.func) if isinstance(node.func, ast.Name | ast.Attribute) else ""
        where = place(self.file, node)
        assert name not in ("eval", "exec", "__import__", "importlib.import_module"), f"{where}: {name} hides a name"
        if name == "getattr":
            whose, which = node.args[:2]
            of_import = isinstance(whose, ast.Name) and whose.id in self.imports
            assert not of_import and not isinstance(which, ast.Constant), f"{where}: write getattr as .name"


def string_patterns(pattern: ast.pattern) -> Iterator[str]:
    """Every literal text in a pattern."""
    for node in ast.walk(pattern):
        match node:
            case ast.MatchValue(value=ast.Constant(value=str(text))):
                yield text


def place(file: Path, node: ast.stmt | ast.expr) -> str:
    """`file:line` for messages."""
    return f"{file}:{node.lineno}"


def imported_names(statement: ast.Import | ast.ImportFrom, file: Path) -> dict[str, Dotted]:
    """What each name stands for that an import binds."""
    if isinstance(statement, ast.Import):
        return {
            alias.asname or alias.name.split(".")[0]: tuple(alias.name.split(".")[: None if alias.asname else 1])
            for alias in statement.names
        }
    assert statement.level == 0 and statement.module, f"{place(file, statement)}: write absolute imports"
    names = {}
    for alias in statement.names:
        assert alias.name != "*", f"{place(file, statement)}: import names one by one; a star cannot be followed"
        names[alias.asname or alias.name] = (*statement.module.split("."), alias.name)
    return names
