"""`matrix:` of a stage: one stage becomes a cell for every combination of the values of its axes.

An axis is the dotted path of a field of the stage. One that names no field of it only chooses among the cells that the
stage refers to: with `matrix: {seed: [1, 2]}` an evaluation has one cell for each seed of the training it reads.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import TypeAlias, final

from engine.spec.errors import Problem
from engine.spec.nearest import did_you_mean
from engine.spec.ref import NAME, NAME_RULE
from engine.spec.shape import Choice, Record, Shape, chosen, fields, inside
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
    """A tree whose stages are cells, the cells by stage, and what is wrong."""

    root: Node
    cells: dict[str, dict[str, Axes]] = field(default_factory=dict)  # stage -> cell -> axes; no cell: a faulty matrix
    choosers: dict[tuple[str, str], Problem] = field(
        default_factory=dict
    )  # axis that is no field -> if nothing uses it
    problems: list[Problem] = field(default_factory=list)
    quiet: set[Trail] = field(default_factory=set)  # a later problem at or below one of these only repeats

    def note(self, message: str, spot: Spot, trail: Trail) -> None:
        """Adds a problem."""
        self.problems.append(Problem(message, dotted(trail), *spot))


def expand(root: Node, shape: Shape) -> Expansion:
    """`stages.NAME` with a matrix becomes `stages.NAME[axis=value,...]`, axes sorted by name."""
    result = Expansion(root)
    stages, kinds = root.get(STAGES), inside(shape, root, STAGES)
    if stages is None or not isinstance(stages.value, dict) or kinds is None:
        return result
    grown: dict[str, Node] = {}
    for name, stage in stages.value.items():
        if re.fullmatch(NAME, name) is None:
            result.note(f"is no name for a stage; use {NAME_RULE}", stage.key, (STAGES, name))
        if stage.get(MATRIX) is None:
            grown[name] = stage
        else:
            grown |= _grown(name, stage, _fields(inside(kinds, stages, name), stage), result)
    result.root = put(root, (STAGES,), stages.with_value(grown))
    return result


def _fields(shape: Shape | None, stage: Node) -> tuple[str, ...]:
    """The fields of the class of a stage; none where its kind is not known."""
    match shape:
        case Choice():
            model = chosen(shape, stage)
            return tuple(fields(model)) if model else ()
        case Record(model=model):
            return tuple(fields(model))
        case _:
            return ()


def _grown(name: str, stage: Node, known: tuple[str, ...], result: Expansion) -> dict[str, Node]:
    """The cells of a stage; an axis that cannot be used is noted and left out, so that the rest is still checked."""
    assert isinstance(stage.value, dict)
    matrix = stage.value[MATRIX]
    bare = stage.with_value({key: child for key, child in stage.value.items() if key != MATRIX})
    before = len(result.problems)
    axes = _axes(name, bare, matrix, known, result)
    values = prod(map(len, axes.values())) * sum(1 for _ in walk(bare))
    if values > LIMIT_VALUES:
        result.note(
            f"makes {values:,} values; a stage has at most {LIMIT_VALUES:,}", matrix.key, (STAGES, name, MATRIX)
        )
        axes = {axis: dict(list(listed.items())[:1]) for axis, listed in axes.items()}
    nodes: dict[str, Node] = {}
    cells: dict[str, Axes] = {}
    for texts in product(*axes.values()):
        texts_by_axis = dict(zip(axes, texts, strict=True))
        cell = ",".join(f"{axis}={text}" for axis, text in texts_by_axis.items())
        cells[cell] = texts_by_axis
        nodes[f"{name}[{cell}]" if cell else name] = _cell(name, bare, axes, texts_by_axis, result)
    longest = max(cells, key=len)
    if len(longest) > LIMIT_NAME:
        result.note(f"{longest} is longer than {LIMIT_NAME} characters", matrix.key, (STAGES, name, MATRIX))
    result.cells[name] = cells if len(result.problems) == before else {}
    return nodes


def _cell(name: str, bare: Node, axes: Mapping[str, Mapping[str, Node]], texts: Axes, result: Expansion) -> Node:
    """The stage with the values of one cell; what stood in their places is kept as overridden."""
    node = bare
    for axis, text in texts.items():
        if (name, axis) not in result.choosers:
            value, trail = axes[axis][text], tuple(axis.split("."))
            old, depth = find(node, trail)
            overrode = (old, *old.overrode) if depth == len(trail) else ()
            node = put(node, trail, Node(value.value, value.spot, value.key, overrode))
    return node


def _axes(name: str, bare: Node, matrix: Node, known: tuple[str, ...], result: Expansion) -> dict[str, dict[str, Node]]:
    """Axis -> text of a value -> the value, axes sorted by name."""
    axes: dict[str, dict[str, Node]] = {}
    if not isinstance(matrix.value, dict) or not matrix.value:
        message = f"expected axes with lists of values, found {describe(matrix.value)}; for instance seed: [1, 2]"
        result.note(message, matrix.spot, (STAGES, name, MATRIX))
        return axes
    for axis, listed in sorted(matrix.value.items()):
        before, trail, parts = len(result.problems), (STAGES, name, MATRIX, axis), axis.split(".")
        values = _values(listed, trail, result)
        if _AXIS.fullmatch(axis) is None:
            message = "an axis is the dotted path of a field of the stage, for instance optimizer.lr.peak"
            result.note(message, listed.key, trail)
        elif known and parts[0] not in known:
            message = "is no field of the stage, and no axis of a stage that it refers to without naming a cell"
            result.choosers[name, axis] = Problem(message + did_you_mean(axis, known), dotted(trail), *listed.key)
        elif blocked := _blocked(bare, parts, axes):
            result.note(f"{blocked} is no mapping, so it has no field to set", listed.key, trail)
        axes |= {axis: values} if values and len(result.problems) == before else {}
        if len(result.problems) > before:
            result.quiet.add((STAGES, name, *parts))
    return axes


def _values(listed: Node, trail: Trail, result: Expansion) -> dict[str, Node]:
    """The values of an axis by their text, with the place of the axis as that of their key."""
    if not isinstance(listed.value, list) or not listed.value:
        result.note(f"expected a list of at least one value, found {describe(listed.value)}", listed.spot, trail)
        return {}
    values: dict[str, Node] = {}
    for index, item in enumerate(listed.value):
        if isinstance(item.value, dict | list):
            message = f"a value of an axis is a number, a text or a boolean, found {describe(item.value)}"
            result.note(message, item.spot, (*trail, index))
            continue
        text = spell(item.value)
        if _TEXT.fullmatch(text) is None:
            message = f"{describe(item.value)} cannot be part of a name; use letters, digits, '.', '_', '+' and '-'"
            result.note(message, item.spot, (*trail, index))
        elif text in values:
            result.note(f"{text} stands here a second time; a value makes one cell", item.spot, (*trail, index))
        values[text] = Node(item.value, item.spot, listed.key)
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
