"""A spec file to a validated value: `extends`, `matrix`, validation, and every problem with its place, all at once."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar, final

from pydantic import ValidationError

from engine.spec.base import Spec
from engine.spec.compose import gather
from engine.spec.errors import Problem, SpecError
from engine.spec.matching import match
from engine.spec.matrix import STAGES, expand
from engine.spec.problems import explained, loose
from engine.spec.shape import Record
from engine.spec.tree import Node, Spot, Trail, data, describe, dotted, first_part, walk

FORMAT = 1

_CELL = re.compile(rf"^({STAGES}\.[a-z0-9._-]+)\[[^\[\]]*=[^\[\]]*\]")

M = TypeVar("M", bound=Spec)


@final
@dataclass(frozen=True, slots=True)
class Loaded(Generic[M]):
    """A valid spec and where each of its values was set."""

    value: M
    data: dict[str, Any]  # as authored, merged and expanded; without defaults
    origins: Mapping[Trail, Node]  # every authored value: its place, its key's place, what it overrode
    files: tuple[Path, ...]  # the file itself, then its bases, in the order they were read

    def locate(self, path: str) -> Spot:
        """The place of a dotted path, or of the nearest authored value round it."""
        node = self.origins[()]
        while found := first_part(path, node.parts()):
            part, path = found
            node = node.get(part) or node
        return node.spot


def load(path: Path, model: type[M], base_folder: Path) -> Loaded[M]:
    """Reads a spec below the specs folder `base_folder`; SpecError carries all problems in the order of the files."""
    root, files, problems = gather(path, base_folder)
    if root is None:
        raise SpecError(*_ordered(problems, files))
    if foreign := _foreign_format(root):
        raise SpecError(*foreign)
    shape = Record(model)
    expansion = expand(root, shape)
    root, unmatched = match(expansion, shape)
    value, invalid = _validated(root, model)
    problems += [*_misnamed(root, path), *expansion.problems]
    quiet = {problem.path for problem in problems} | {dotted(trail) for trail in expansion.quiet}
    later = map(_without_cell, [*invalid, *loose(root, shape), *unmatched])
    problems += [problem for problem in later if not _told(problem.path, quiet)]
    if problems or value is None:
        raise SpecError(*_ordered(problems, files))
    return Loaded(value, data(root), dict(walk(root)), files)


def _validated(root: Node, model: type[M]) -> tuple[M | None, list[Problem]]:
    """The value, or why there is none. As JSON: there a list may stand for a tuple, and all else stays strict."""
    try:
        return model.model_validate_json(json.dumps(data(root))), []
    except ValidationError as error:
        return None, list(explained(error, root, Record(model)))


def _foreign_format(root: Node) -> list[Problem]:
    """A format of another engine, in any file of the chain; nothing else in such a file can be judged."""
    node = root.get("format")
    written = [node, *node.overrode] if node else []
    return [
        Problem(f"this engine reads format {FORMAT}, found {describe(n.value)}", "format", *n.spot)
        for n in written
        if type(n.value) is not int or n.value != FORMAT
    ]


def _misnamed(root: Node, path: Path) -> list[Problem]:
    node = root.get("experiment")
    if node is None or not isinstance(node.value, str) or f"{node.value}.yaml" == path.name:
        return []
    message = f'must equal the name of the file: write "{path.stem}", or name the file {node.value}.yaml'
    return [Problem(message, "experiment", *node.spot)]


def _without_cell(problem: Problem) -> Problem:
    """The path as authored: what is wrong in a stage is wrong in each of its cells, and told once."""
    return replace(problem, path=_CELL.sub(r"\1", problem.path))


def _told(path: str, quiet: Iterable[str]) -> bool:
    return any(path == known or path.startswith(f"{known}.") for known in quiet)


def _ordered(problems: Iterable[Problem], files: tuple[Path, ...]) -> list[Problem]:
    order = {str(file): index for index, file in enumerate(files)}
    return sorted(dict.fromkeys(problems), key=lambda p: (order.get(p.file, len(files)), p.line, p.column))
