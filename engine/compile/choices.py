"""What a stage chose: the classes of its specs, its texts, and the sets of texts that its fields choose from."""

import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Self, final

from engine.compile.names import Dotted
from engine.spec.base import Spec


@final
@dataclass(frozen=True, slots=True)
class Choices:
    """The facts of a stage that decide which arms of a `match` it can take."""

    classes: frozenset[Dotted]
    """Of every value in the tree, base classes included: a lowered stage is also what it was lowered from."""
    strings: frozenset[str]
    """Texts that no Literal restricts."""
    chosen: frozenset[tuple[frozenset[str], str]]
    """What a field chose from the texts of its Literal."""
    literals: frozenset[frozenset[str]]
    leaves: frozenset[Dotted]
    """The classes among them that are no specs, such as that of references."""

    @classmethod
    def of(cls, stage: Spec) -> Self:
        values = list(_values(stage, frozenset()))
        types: set[type[Any]] = {type(value) for value, _ in values}
        texts = [(str(value), choices) for value, choices in values if isinstance(value, str)]
        return cls(
            frozenset(name for kind in types for name in _bases(kind)),
            frozenset(text for text, choices in texts if not any(text in choice for choice in choices)),
            frozenset((choice, text) for text, choices in texts for choice in choices if text in choice),
            frozenset(texts for kind in types if issubclass(kind, Spec) for texts in _choices(kind)),
            frozenset(_name(kind) for kind in types if not issubclass(kind, Spec)),  # type: ignore[arg-type]  # every class can be hashed
        )

    def decides(self, texts: frozenset[str]) -> bool:
        """Whether a field of the stage chooses from a Literal that holds all these texts."""
        return any(texts <= literal for literal in self.literals)

    def holds(self, texts: frozenset[str], text: str) -> bool:
        """Whether a value that such a field chose, or a free one, is this text."""
        return text in self.strings or any(texts <= choice and text == found for choice, found in self.chosen)


Literals = frozenset[frozenset[str]]


def _values(value: object, choices: Literals) -> Iterator[tuple[object, Literals]]:
    """Every value in a tree with the Literals of the field that holds it."""
    yield value, choices
    match value:
        case Spec():
            for name, inner in value:
                yield from _values(inner, frozenset(_literals(type(value).model_fields[name].annotation)))
        case tuple() | list():
            for item in value:
                yield from _values(item, choices)
        case Mapping():
            for item in value.values():
                yield from _values(item, choices)


def _bases(kind: type[Any]) -> tuple[Dotted, ...]:
    return tuple(_name(base) for base in kind.__mro__)


@cache
def _name(kind: type[Any]) -> Dotted:
    return (*kind.__module__.split("."), kind.__qualname__)


@cache
def _choices(kind: type[Spec]) -> Literals:
    return frozenset(texts for info in kind.model_fields.values() for texts in _literals(info.annotation))


def _literals(annotation: object) -> Iterator[frozenset[str]]:
    if typing.get_origin(annotation) is Literal:
        yield frozenset(text for text in typing.get_args(annotation) if isinstance(text, str))
        return
    for inner in typing.get_args(annotation):
        yield from _literals(inner)
