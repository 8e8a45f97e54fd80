"""The shape of a spec class, read from its annotations: what may stand at each place, and under which name."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from engine.spec.tree import Node, Trail


@dataclass(frozen=True, slots=True)
class Record:
    """A spec class."""

    model: type[BaseModel]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several spec classes, told apart by the value of the key `tag`."""

    tag: str
    models: dict[str, type[BaseModel]]


@dataclass(frozen=True, slots=True)
class Items:
    """A list. With `rest` every item has that shape, without it the list has exactly these."""

    items: "tuple[Shape, ...]"
    rest: "Shape | None" = None


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping from free keys to values of one shape."""

    value: "Shape"


@dataclass(frozen=True, slots=True)
class Leaf:
    """Anything else: a scalar, a literal, free JSON."""

    annotation: Any


Shape: TypeAlias = Record | Choice | Items | Table | Leaf


@cache
def fields(model: type[BaseModel]) -> dict[str, Shape]:
    """The shapes of a class's fields, by the key that authors write."""
    return {key: shape_of(field.annotation, field.discriminator) for key, field in keys(model).items()}


@cache
def keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a class by the key that authors write: `class` for a field `class_` with that alias."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def shape_of(annotation: Any, discriminator: object = None) -> Shape:
    """The shape that an annotation describes."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        tags = [extra.discriminator for extra in args[1:] if isinstance(extra, FieldInfo) and extra.discriminator]
        return shape_of(args[0], tags[-1] if tags else discriminator)
    if origin in (Union, UnionType):
        return _union([arg for arg in args if arg is not NoneType], annotation, discriminator)
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        return Items((), shape_of(args[0]))
    if origin is tuple:
        return Items(tuple(shape_of(arg) for arg in args))
    if origin is dict:
        return Table(shape_of(args[1]))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return Record(annotation)
    return Leaf(annotation)


def inside(shape: Shape, node: Node, part: str | int) -> Shape | None:
    """The shape of one child of a node; None where the shape knows no such child."""
    match shape:
        case Record(model=model) if isinstance(part, str):
            return fields(model).get(part)
        case Choice():
            selected = chosen(shape, node)
            return fields(selected).get(str(part)) if selected else None
        case Table(value=value) if isinstance(part, str):
            return value
        case Items(items=items, rest=rest) if isinstance(part, int):
            return items[part] if part < len(items) else rest
        case _:
            return None


def chosen(choice: Choice, node: Node) -> type[BaseModel] | None:
    """The class that a node's tag selects; None where the tag is missing or unknown."""
    tag = node.get(choice.tag)
    return choice.models.get(tag.value) if tag is not None and isinstance(tag.value, str) else None


def leaves(node: Node, shape: Shape, trail: Trail = ()) -> Iterator[tuple[Trail, Node, Leaf]]:
    """Every node that stands where the shape has a leaf; what the shape does not know is passed over."""
    if isinstance(shape, Leaf):
        yield trail, node, shape
        return
    children: Iterable[tuple[str | int, Node]] = ()
    if isinstance(node.value, dict):
        children = node.value.items()
    elif isinstance(node.value, list):
        children = enumerate(node.value)
    for part, child in children:
        below = inside(shape, node, part)
        if below is not None:
            yield from leaves(child, below, (*trail, part))


def literals(shape: Shape | None) -> tuple[Any, ...]:
    """The values that a place allows when it allows a closed list, else nothing."""
    return get_args(shape.annotation) if isinstance(shape, Leaf) and get_origin(shape.annotation) is Literal else ()


def _union(members: list[Any], annotation: Any, discriminator: object) -> Shape:
    if len(members) == 1:
        return shape_of(members[0], discriminator)
    if not isinstance(discriminator, str):
        return Leaf(annotation)
    models: dict[str, type[BaseModel]] = {}
    for member in members:
        match shape_of(member):
            case Record(model=model):
                models.update(dict.fromkeys(literals(fields(model)[discriminator]), model))
            case Choice(models=more):
                models.update(more)
            case other:
                raise TypeError(f"{other} cannot be told by {discriminator!r}; a tagged union is made of spec classes")
    return Choice(discriminator, models)
