"""A YAML file as a tree of plain values that know where they stand and what they overrode."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias, final

Scalar: TypeAlias = str | int | float | bool | None
Trail: TypeAlias = tuple[str | int, ...]  # the way from the root: ("stages", "rows", "row_tokens"), ("claims", 0, "id")


class Spot(NamedTuple):
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@final
@dataclass(frozen=True, slots=True)
class Node:
    """A value, its place, the place of its key (of an item: its own), and the values of bases that it replaced."""

    value: "Scalar | dict[str, Node] | list[Node]"
    spot: Spot
    key: Spot
    overrode: "tuple[Node, ...]" = ()  # nearest base first

    def get(self, part: str | int) -> "Node | None":
        """The child under a key or an index; None where there is none."""
        if isinstance(self.value, dict) and isinstance(part, str):
            return self.value.get(part)
        if isinstance(self.value, list) and isinstance(part, int) and 0 <= part < len(self.value):
            return self.value[part]
        return None

    def parts(self) -> Iterable[str | int]:
        """The keys or indices of the children."""
        if isinstance(self.value, dict):
            return self.value
        return range(len(self.value)) if isinstance(self.value, list) else ()

    def with_value(self, value: "Scalar | dict[str, Node] | list[Node]") -> "Node":
        """The same place with another value."""
        return replace(self, value=value)


def find(root: Node, trail: Trail) -> tuple[Node, int]:
    """The deepest node on a trail and how many parts of the trail lead to it."""
    node = root
    for depth, part in enumerate(trail):
        child = node.get(part)
        if child is None:
            return node, depth
        node = child
    return node, len(trail)


def put(root: Node, trail: Trail, node: Node) -> Node:
    """The tree with a node at a trail; mappings missing on the way are made, at the place of the node's key."""
    if not trail:
        return node
    part, rest = trail[0], trail[1:]
    child = put(root.get(part) or Node({}, node.key, node.key), rest, node)
    if isinstance(root.value, list) and isinstance(part, int):
        return root.with_value([*root.value[:part], child, *root.value[part + 1 :]])
    assert isinstance(root.value, dict)
    assert isinstance(part, str)
    return root.with_value(root.value | {part: child})


def data(node: Node) -> Any:
    """The value as plain data: mappings, lists and scalars."""
    match node.value:
        case dict() as entries:
            return {key: data(child) for key, child in entries.items()}
        case list() as items:
            return [data(item) for item in items]
        case scalar:
            return scalar


def walk(node: Node, trail: Trail = ()) -> Iterator[tuple[Trail, Node]]:
    """Every node with its trail, parents first."""
    yield trail, node
    if isinstance(node.value, dict):
        for key, child in node.value.items():
            yield from walk(child, (*trail, key))
    elif isinstance(node.value, list):
        for index, item in enumerate(node.value):
            yield from walk(item, (*trail, index))


def dotted(trail: Trail) -> str:
    """A trail as people write it: `claims.0.check.left`."""
    return ".".join(map(str, trail))


def first_part(path: str, parts: Iterable[str | int]) -> tuple[str | int, str] | None:
    """The longest of some keys that a dotted path starts with, and the rest of the path; a key may hold dots itself."""
    fits = [part for part in parts if path == str(part) or path.startswith(f"{part}.")]
    if not fits:
        return None
    part = max(fits, key=lambda part: len(str(part)))
    return part, path[len(str(part)) + 1 :]


def describe(value: object) -> str:
    """What was found, with its kind, for a message: `the text "3"`, `the number 1.5`, `a list`."""
    match value:
        case None:
            return "nothing (null)"
        case bool():
            return f"the boolean {str(value).lower()}"
        case int():
            return f"the whole number {value}" if abs(value) < 10**40 else "a very long whole number"
        case float():
            return f"the number {value!r}"
        case str():
            return f"the text {json.dumps(value if len(value) <= 60 else value[:57] + '...', ensure_ascii=False)}"
        case Mapping():
            return "a mapping" if value else "an empty mapping"
        case _:
            return "a list" if value else "an empty list"
