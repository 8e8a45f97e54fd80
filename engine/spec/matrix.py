"""`matrix:` of a stage: one stage becomes a cell for every combination of the values of its axes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import TypeAlias, final

from engine.spec.errors import Problem
from engine.spec.ref import NAME, NAME_RULE
from engine.spec.tree import Node, Spot, Trail, describe, dotted, find, put, walk
from engine.spec.yaml import spell

MATRIX = "matrix"
STAGES = "stages"
LIMIT_VALUES = 200_000  # of all cells of a stage together; the largest real stage has a few thousand
LIMIT_NAME = 200  # characters of a cell's name: it is one folder, whose name has at most 255 bytes on every system

_AXIS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_][A-Za-z0-9_-]*)*")
_TEXT = re.compile(r"[A-Za-z0-9._+-]+")

Axes: TypeAlias = Mapping[str, str]  # axis -> the text of its value, sorted by axis


@final
@dataclass(slots=True)
class Expansion:
    """A tree whose stages are cells, the cells by stage, and what is wrong.

    A problem found later at or below a trail of `quiet` would only repeat one of these.
    """

    root: Node
    cells: dict[str, dict[str, Axes]] = field(default_factory=dict)  # stage -> cell -> axes; no cell: a faulty matrix
    problems: list[Problem] = field(default_factory=list)
    quiet: set[Trail] = field(default_factory=set)

    def note(self, message: str, spot: Spot, *trail: str | int) -> None:
        """Adds a problem."""
        self.problems.append(Problem(message, dotted(trail), *spot))


def expand(root: Node) -> Expansion:
    """`stages.NAME` with a matrix becomes `stages.NAME[axis=value,...]`, axes sorted by name."""
    result = Expansion(root)
    stages = root.get(STAGES)
    if stages is None or not isinstance(stages.value, dict):
        return result
    grown: dict[str, Node] = {}
    for name, stage in stages.value.items():
        if re.fullmatch(NAME, name) is None:
            result.note(f"is no name for a stage; use {NAME_RULE}", stage.key, STAGES, name)
        grown |= {name: stage} if stage.get(MATRIX) is None else _cells(name, stage, result)
    assert isinstance(root.value, dict)
    result.root = root.with_value(root.value | {STAGES: stages.with_value(grown)})
    return result


def _cells(name: str, stage: Node, result: Expansion) -> dict[str, Node]:
    """The cells of a stage; an axis that cannot be used is noted and left out, so that the rest is still checked."""
    assert isinstance(stage.value, dict)
    matrix = stage.value[MATRIX]
    bare = stage.with_value({key: child for key, child in stage.value.items() if key != MATRIX})
    before = len(result.problems)
    axes = _axes(name, bare, matrix, result)
    values = prod(map(len, axes.values())) * sum(1 for _ in walk(bare))
    if values > LIMIT_VALUES:
        result.note(f"makes {values:,} values; a stage has at most {LIMIT_VALUES:,}", matrix.key, STAGES, name, MATRIX)
        axes = {axis: dict(list(listed.items())[:1]) for axis, listed in axes.items()}
    grown: dict[str, Node] = {}
    cells: dict[str, Axes] = {}
    for texts in product(*axes.values()):
        chosen = dict(zip(axes, texts, strict=True))
        cell = ",".join(f"{axis}={text}" for axis, text in chosen.items())
        if len(cell) > LIMIT_NAME:
            result.note(f"{cell} is longer than {LIMIT_NAME} characters", matrix.key, STAGES, name, MATRIX)
        node = bare
        for axis, text in chosen.items():
            node = _planted(node, axis, axes[axis][text])
        cells[cell] = chosen
        grown[f"{name}[{cell}]" if cell else name] = node
    result.cells[name] = cells if len(result.problems) == before else {}
    return grown


def _axes(name: str, bare: Node, matrix: Node, result: Expansion) -> dict[str, dict[str, Node]]:
    """Axis -> text of a value -> the value, axes sorted by name."""
    axes: dict[str, dict[str, Node]] = {}
    if not isinstance(matrix.value, dict) or not matrix.value:
        message = f"expected fields with lists of values, found {describe(matrix.value)}; for instance seed: [1, 2]"
        result.note(message, matrix.spot, STAGES, name, MATRIX)
        return axes
    for axis, listed in sorted(matrix.value.items()):
        known = len(result.problems)
        values = _values(name, axis, listed, result)
        if _AXIS.fullmatch(axis) is None:
            message = "an axis is the dotted path of a field of the stage, for instance optimizer.lr.peak"
            result.note(message, listed.key, STAGES, name, MATRIX, axis)
        elif blocked := _blocked(bare, axis.split("."), axes):
            result.note(f"{blocked} is no mapping, so it has no field to set", listed.key, STAGES, name, MATRIX, axis)
        elif values:
            axes[axis] = values
        if len(result.problems) > known:
            result.quiet.add((STAGES, name, *axis.split(".")))
    return axes


def _values(name: str, axis: str, listed: Node, result: Expansion) -> dict[str, Node]:
    """The usable values of an axis by their text, with the place of the axis as that of their key."""
    if not isinstance(listed.value, list) or not listed.value:
        message = f"expected a list of at least one value, found {describe(listed.value)}"
        result.note(message, listed.spot, STAGES, name, MATRIX, axis)
        return {}
    values: dict[str, Node] = {}
    for index, item in enumerate(listed.value):
        message = ""
        if isinstance(item.value, dict | list):
            message = f"a value of an axis is a number, a text or a boolean, found {describe(item.value)}"
        else:
            text = spell(item.value)
            if _TEXT.fullmatch(text) is None:
                message = f"{describe(item.value)} cannot be part of a name; use letters, digits, '.', '_', '+' and '-'"
            elif text in values:
                message = f"{text} stands here a second time; a value makes one cell"
            values.setdefault(text, Node(item.value, item.spot, listed.key))
        if message:
            result.note(message, item.spot, STAGES, name, MATRIX, axis, index)
    return values


def _blocked(bare: Node, parts: list[str], axes: Mapping[str, object]) -> str:
    """The part of an axis' path that is set to something without fields; empty where nothing blocks the path."""
    node: Node | None = bare
    for depth, part in enumerate(parts[:-1], 1):
        path = ".".join(parts[:depth])
        node = node.get(part) if node else None
        if path in axes or (node is not None and not isinstance(node.value, dict)):
            return path
    return ""


def _planted(cell: Node, axis: str, value: Node) -> Node:
    """The cell with the value of one axis; what stood there is kept as overridden."""
    trail = tuple(axis.split("."))
    old, depth = find(cell, trail)
    overrode = (old, *old.overrode) if depth == len(trail) else ()
    return put(cell, trail, Node(value.value, value.spot, value.key, overrode))
