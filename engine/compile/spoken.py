"""What a stage says: the classes of its specs, its texts, and the sets of texts that its fields choose from."""

import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Self, final

from engine.compile.names import Dotted
from engine.spec.base import Spec


@final
@dataclass(frozen=True, slots=True)
class Spoken:
    """The facts of a stage that decide which arms of a `match` it can take."""

    classes: frozenset[Dotted]
    """Of every value in the tree, base classes included: a lowered stage is also what it was lowered from."""
    strings: frozenset[str]
    literals: frozenset[frozenset[str]]
    leaves: frozenset[Dotted]
    """The classes among them that are no specs, such as that of references."""

    @classmethod
    def of(cls, stage: Spec) -> Self:
        values = list(_values(stage))
        types: set[type[Any]] = {type(value) for value in values}
        return cls(
            frozenset(name for kind in types for name in _bases(kind)),
            frozenset(str(value) for value in values if isinstance(value, str)),
            frozenset(texts for kind in types if issubclass(kind, Spec) for texts in _choices(kind)),
            frozenset(_name(kind) for kind in types if not issubclass(kind, Spec)),
        )


def _values(value: object) -> Iterator[object]:
    yield value
    match value:
        case Spec():
            for _, inner in value:
                yield from _values(inner)
        case tuple() | list():
            for item in value:
                yield from _values(item)
        case Mapping():
            for item in value.values():
                yield from _values(item)


def _bases(kind: type[Any]) -> tuple[Dotted, ...]:
    return tuple(_name(base) for base in kind.__mro__)


def _name(kind: type[Any]) -> Dotted:
    return (*kind.__module__.split("."), kind.__qualname__)


@cache
def _choices(kind: type[Spec]) -> frozenset[frozenset[str]]:
    return frozenset(texts for info in kind.model_fields.values() for texts in _literals(info.annotation))


def _literals(annotation: object) -> Iterator[frozenset[str]]:
    if typing.get_origin(annotation) is Literal:
        yield frozenset(text for text in typing.get_args(annotation) if isinstance(text, str))
        return
    for inner in typing.get_args(annotation):
        yield from _literals(inner)
