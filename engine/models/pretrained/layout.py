"""Where each weight of a model lies in published files, and how it is turned on the way into the engine's module."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

from engine.models.init import parameter_shapes
from engine.models.pretrained.stored import Array
from engine.models.spec import Model


def as_it_is(value: Array) -> Array:
    return value


@final
@dataclass(frozen=True, slots=True)
class Place:
    """A tensor by its name in the files, and what makes a weight of it: a transpose, a part, another order."""

    name: str
    turn: Callable[[Array], Array] = as_it_is


@final
@dataclass(frozen=True, slots=True)
class Layout:
    """The model that files state, the place of each of its weights, and the ends of names that hold no weights."""

    model: Model
    places: Mapping[str, Place]
    derived: tuple[str, ...] = ()
    """Tensors that follow from the configuration and lie in the files beside the weights: masks, tables."""
    check_derived: Callable[[str, Array], None] = lambda _name, _value: None
    """Compares one of them with what the engine makes of the configuration; ArtifactError when they differ."""


def placed(model: Model, place: Callable[[str], Place]) -> dict[str, Place]:
    """The place of every weight of a model."""
    return {name: place(name) for name in parameter_shapes(model)}
