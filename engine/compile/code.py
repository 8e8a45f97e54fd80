"""The code digest of a stage: the engine's definitions that its chosen methods reach, and nothing else.

From the function that runs stages, names are followed through functions, classes and constants of the engine. An arm
of a `match` is left out when its pattern names a spec class, or a value of a spec's Literal, that the stage does not
hold; so what is added beside the chosen methods moves no digest. Comments, docstrings and blank lines are no text.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import final

from engine.compile.choices import Choices
from engine.compile.names import NO_ARM, Arm, Definition, Dotted, Load
from engine.compile.source import MAIN, TOP, Module
from engine.spec.base import Spec
from engine.spec.canonical import digest

OUTSIDE = frozenset(
    {
        "run",  # checks digests and moves folders; what it writes is named by what stages wrote
        "dispatch",  # knows all rooms: it is walked, not hashed
        "experiment",  # names every stage spec
        "cli",  # prints
        "compile",  # its result is the lowered stage itself
        "report",  # reads what is finished
        "data.sources.fetch.resolve",  # brings the bytes of a sha256, and checks it
        "artifacts.lineage",  # reads manifests only
        "artifacts.observation",  # written outside the artifact
        "artifacts.progress.Told",  # counts items and prints, and is given none
    }
)
"""Rooms, modules and functions that cannot change a bit of an output, or that would tie every stage to every room."""

GIVEN = frozenset(
    {
        "artifacts.manifest.Manifest",
        "artifacts.placement.Placement",
        "spec.layout.Layout",
        "spec.numerics.Numerics",
    }
)
"""Classes, besides those of a room's spec.py, whose values a stage is given: their fields are no code."""

ALWAYS = (("engine.artifacts.manifest", "content_digest"), ("engine.artifacts.manifest", "output_of"))
"""What makes the digests of every stage's outputs, called when the stage has done its work."""

KERNEL_SOURCES = frozenset({".c", ".cpp", ".cu", ".cuh", ".h", ".hpp", ".triton"})


Asked = dict[tuple[frozenset[str], str], bool]
"""What a walk asked a stage's texts, and was answered."""


@final
@dataclass(frozen=True, slots=True)
class Code:
    """What a stage reaches: sha256 of the text of each definition (`engine.data.pack.deal`), and one digest of all."""

    digest: str
    definitions: dict[str, str]


@final
class CodeIndex:
    """The definitions of a package, read from its files when they are first reached."""

    def __init__(self, package_root: Path) -> None:
        self.root = package_root
        self._modules: dict[Dotted, Module | None] = {}
        self._packages: dict[Dotted, bool] = {}
        self._found: dict[Dotted, tuple[Module, Dotted] | None] = {}
        self._sources: dict[Dotted, dict[str, str]] = {}
        self._digests: dict[tuple[Dotted, str, frozenset[int]], str] = {}
        self._known: dict[tuple[Dotted, frozenset[Dotted]], list[tuple[Asked, Code]]] = {}

    def reach(self, entry: tuple[str, str], stage: Spec) -> Code:
        """All that a stage reaches from a function (module, name); equal for stages that choose the same methods."""
        start = (*entry[0].split("."), entry[1])
        choices = Choices.of(stage)
        known = self._known.setdefault((start, choices.classes), [])
        for asked, code in known:
            if all(choices.holds(*question) == answer for question, answer in asked.items()):
                return code
        walk = Walk(self, start, choices)
        code = walk.code()
        known.append((walk.asked, code))
        return code

    def module(self, name: Dotted) -> Module | None:
        """The module of that name, None when there is none."""
        if name not in self._modules:
            self._modules[name] = self._read(name)
        return self._modules[name]

    def _read(self, name: Dotted) -> Module | None:
        if not name or name[0] != self.root.name or not all(part.isidentifier() for part in name):
            return None
        inner = self.root.joinpath(*name[1:])
        for file in (inner / "__init__.py", inner.parent / f"{inner.name}.py"):
            if file.is_file():
                return Module(name, file)
        return None

    def find(self, names: Dotted) -> tuple[Module, Dotted] | None:
        """The deepest module that a dotted name leads to through imports, and the names left: () means all of it."""
        if names not in self._found:
            self._found[names] = self._find(names)
        return self._found[names]

    def _find(self, names: Dotted) -> tuple[Module, Dotted] | None:
        seen: set[Dotted] = set()
        while names not in seen:
            seen.add(names)
            step = self._step(names)
            if not isinstance(step, tuple):
                return None
            if isinstance(step[0], Module):
                return step
            names = step
        return None

    def _step(self, names: Dotted) -> tuple[Module, Dotted] | Dotted | None:
        """One import followed, or the place where the definition stands."""
        module = self.module(names[:1])
        for depth in range(1, len(names) + 1):
            if module is None:
                return None
            rest = names[depth:]
            if rest and rest[0] in module.statements:
                return module, rest
            own = names[: depth + 1]
            if (
                rest and module.imports.get(rest[0], own)[: depth + 1] != own
            ):  # a package may import its own, and out of it
                return (*module.imports[rest[0]], *rest[1:])
            inner = self.module(names[: depth + 1]) if rest else None
            if inner is None:
                known = not rest or rest[0].startswith("__") or module.file.name != "__init__.py"
                assert known, f"{module.file}: there is no {'.'.join(names)}, which engine code names"
                return module, ()
            module = inner
        return None

    def packages(self, module: Module) -> Iterator[Module]:
        """The packages round a module and round what it imports, whose `__init__.py` runs when it is imported."""
        own = [name for name in (module.name, *module.imports.values()) if name[0] == self.root.name]
        for name in sorted({inner[:depth] for inner in own for depth in range(1, len(inner) + 1)}):
            package = self.module(name) if self._is_package(name) else None
            if package is not None:
                yield package

    def _is_package(self, name: Dotted) -> bool:
        if name not in self._packages:
            self._packages[name] = self.root.joinpath(*name[1:], "__init__.py").is_file()
        return self._packages[name]

    def kernel_sources(self, module: Module) -> dict[str, str]:
        """sha256 by path of the files beside a module of the kernels room that are compiled when it runs."""
        if module.name[1:2] != ("kernels",) or len(module.name) <= 2:
            return {}
        if module.name not in self._sources:
            files = sorted(file for file in module.file.parent.iterdir() if file.suffix in KERNEL_SOURCES)
            self._sources[module.name] = {
                file.relative_to(self.root.parent).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
                for file in files
            }
        return self._sources[module.name]

    def text_digest(self, module: Module, unit: str, left_out: frozenset[int]) -> str:
        """sha256 of the text of a definition without some arms; empty where nothing is left."""
        key = (module.name, unit, left_out)
        if key not in self._digests:
            text = module.text(module.definition(unit), left_out)
            self._digests[key] = hashlib.sha256(text).hexdigest() if text else ""
        return self._digests[key]


@final
class Walk:
    """One walk from an entry; goes round again while what it keeps makes it keep more."""

    def __init__(self, index: CodeIndex, start: Dotted, choices: Choices) -> None:
        self.index = index
        self.start = start
        self.choices = choices
        self.classes = set(choices.classes)  # grows by spec classes that kept code names outside patterns
        self.strings: set[str] = set()  # the texts of kept code
        self.attributes: set[str] = set()
        self.asked: Asked = {}
        self.modules: set[Dotted] = set()
        self.reached: dict[tuple[Dotted, str], frozenset[int]] = {}
        self.queue: list[tuple[Module, str]] = []

    def code(self) -> Code:
        self._go(Load(NO_ARM, self.start, makes=True))
        assert self.queue, f"there is no {'.'.join(self.start)}"
        for leaf in sorted(self.choices.leaves):
            self._go(Load(NO_ARM, leaf, makes=True))
        for name, function in ALWAYS:
            self._go(Load(NO_ARM, (*name.split("."), function), makes=True))
        while self.queue:
            while self.queue:
                self._read(*self.queue.pop())
            self._members()
            self._reopen()
        definitions = dict(sorted(self._texts()))
        return Code(digest(definitions), definitions)

    def _reopen(self) -> None:
        """What was kept since may have added a class or a text that an arm left out earlier looks for."""
        for (name, unit), left_out in self.reached.items():
            module = self.index.module(name)
            assert module is not None
            if left_out and self._left_out(module, module.definition(unit)) != left_out:
                self.queue.append((module, unit))

    def _go(self, load: Load) -> None:
        found = self.index.find(load.names)
        if found is None or self._is_outside(*found):
            return
        module, rest = found
        if is_vocabulary(module) and load.makes and rest:
            self.classes.add((*module.name, rest[0]))
        if rest and is_given(module, rest[0]):
            self._enqueue(module, [rest[0]] if load.makes and not module.is_union(rest[0]) else [])
        else:
            self._enqueue(module, rest[:1] or _own(module))

    def _enqueue(self, module: Module, names: Iterable[str]) -> None:
        """Names of a module, and what it does when it is imported."""
        for name in (*names, TOP):
            if module.statements[name] and (module.name, name) not in self.reached:
                self.reached[module.name, name] = frozenset()
                self.queue.append((module, name))
        if module.name not in self.modules:
            self.modules.add(module.name)
            for package in self.index.packages(module):
                if not self._is_outside(package):
                    self._enqueue(package, [])

    def _is_outside(self, module: Module, rest: Dotted = ()) -> bool:
        return module.name != self.start[:-1] and is_outside(module, rest[:1])

    def _read(self, module: Module, name: str) -> None:
        definition = module.definition(name)
        left_out = self._left_out(module, definition)
        self.reached[module.name, name] = left_out
        self.attributes.update(text for arm, text in definition.attributes if arm not in left_out)
        owner = name.rpartition(".")[0]
        for load in definition.loads:
            if load.arm not in left_out:
                if load.names[0] in module.members(owner):
                    self._enqueue(module, [f"{owner}.{load.names[0]}"])
                self._go(load._replace(names=absolute(module, load.names)))
        for load in definition.imported:
            if load.arm not in left_out:
                self._go(load)
        for arm, text in definition.texts:
            if arm not in left_out:
                self._text(text)

    def _text(self, text: str) -> None:
        """A text may be the value that another `match` looks for, or name a module that is started as a process."""
        self.strings.add(text)
        names = tuple(text.split("."))
        module = self.index.module(names) if len(names) > 1 and names[0] == self.index.root.name else None
        if module is not None and not self._is_outside(module):
            main = ["main"] if "main" in module.statements else []
            self._enqueue(module, [*main, MAIN])

    def _members(self) -> None:
        """What kept code names on a class that it did not make; fields are values, and in the stage."""
        named = self.attributes | self.strings
        given = {(self.start[0], *name.split(".")) for name in GIVEN}
        for names in sorted(self.choices.classes | given):
            module = self.index.module(names[:-1])
            if module is not None and (is_vocabulary(module) or names in given):
                found = module.members(names[-1])
                called = sorted(name for name in found if name in named or name.startswith("__"))
                self._enqueue(module, [f"{names[-1]}.{name}" for name in called])

    def _left_out(self, module: Module, definition: Definition) -> frozenset[int]:
        out: set[int] = set()
        for number, arm in enumerate(definition.arms):
            if arm.parent in out or not self._may_match(module, arm.pattern, arm):
                out.add(number)
        return frozenset(out)

    def _may_match(self, module: Module, pattern: ast.pattern, arm: Arm) -> bool:
        match pattern:
            case ast.MatchOr(patterns=patterns):
                return any(self._may_match(module, inner, arm) for inner in patterns)
            case ast.MatchValue(value=ast.Constant(value=str(text))):
                return self._may_hold(text, arm)
            case ast.MatchClass(cls=cls) if not self._may_be(module, cls):
                return False
            case _:
                inner = (child for child in ast.iter_child_nodes(pattern) if isinstance(child, ast.pattern))
                return all(self._may_match(module, child, arm) for child in inner)

    def _may_hold(self, text: str, arm: Arm) -> bool:
        """Only a `match` over values of one Literal of the stage's specs is decided by the stage."""
        if not self.choices.decides(arm.strings):
            return True
        held = self.asked[arm.strings, text] = self.choices.holds(arm.strings, text)
        return held or text in self.strings

    def _may_be(self, module: Module, cls: ast.expr) -> bool:
        found = self.index.find(absolute(module, tuple(ast.unparse(cls).split("."))))
        if found is None or not is_vocabulary(found[0]) or len(found[1]) != 1:
            return True
        return (*found[0].name, found[1][0]) in self.classes

    def _texts(self) -> Iterator[tuple[str, str]]:
        for (name, unit), left_out in self.reached.items():
            module = self.index.module(name)
            assert module is not None
            if (name, unit.partition(".")[0]) in self.reached and "." in unit:
                continue  # the whole class is covered
            if unit != TOP:
                yield from self.index.kernel_sources(module).items()
            found = self.index.text_digest(module, unit, left_out)
            if found and not is_outside(module, (unit,)):
                yield f"{'.'.join(name)}.{unit}", found


def absolute(module: Module, names: Dotted) -> Dotted:
    """A dotted name of a module from the root of packages."""
    if names[0] in module.statements:
        return (*module.name, *names)
    return (*module.imports.get(names[0], (names[0],)), *names[1:])


def is_outside(module: Module, unit: Dotted = ()) -> bool:
    """Whether a module, or a definition in it, is declared to be outside the code digest."""
    return _outside((*module.name[1:], *unit))


@cache
def _outside(names: Dotted) -> bool:
    inner = ".".join(names)
    return any(inner == out or inner.startswith(f"{out}.") for out in OUTSIDE)


def is_spec(module: Module) -> bool:
    """A room's spec.py."""
    return module.name[-1] == "spec" and len(module.name) > 2


def is_given(module: Module, name: str) -> bool:
    """Whether a name of a module may be a class whose values a stage is given."""
    return is_spec(module) or ".".join((*module.name[1:], name)) in GIVEN


def is_vocabulary(module: Module) -> bool:
    """Where spec classes are defined: a room's spec.py, or the room spec."""
    return module.name[1:2] == ("spec",) or is_spec(module)


def _own(module: Module) -> list[str]:
    return [name for name in module.statements if name not in (TOP, MAIN) and "." not in name]
