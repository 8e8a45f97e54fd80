"""Pydantic's errors in the words of an author: the place, the value found, what is allowed, the nearest name."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from engine.spec.compose import EXTENDS
from engine.spec.errors import Problem
from engine.spec.matrix import MATRIX, STAGES
from engine.spec.nearest import did_you_mean, nearest
from engine.spec.ref import Ref
from engine.spec.shape import Choice, Items, Leaf, Record, Shape, Table, fields, inside, leaves, literals
from engine.spec.tree import Node, Trail, describe, dotted
from engine.spec.yaml import scalar

_BOUNDS = {
    "greater_than": "above",
    "greater_than_equal": "at least",
    "less_than": "below",
    "less_than_equal": "at most",
}
_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    Ref: "a reference, stage@output",
}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an error stands: the node, or where it is missing the node around it."""

    trail: Trail
    node: Node
    missing: bool
    shape: Shape | None  # of what belongs there
    around: Shape | None


def explained(error: ValidationError, root: Node, shape: Shape) -> Iterator[Problem]:
    """Each error once: no missing field whose misspelt key is told, only the kind of a mapping of a wrong kind."""
    found = [(_place(item["loc"], root, shape), item) for item in error.errors(include_url=False)]
    unknown = [place for place, item in found if item["type"] == "extra_forbidden"]
    misspelt = {(*place.trail[:-1], nearest(str(place.trail[-1]), _allowed(place))) for place in unknown}
    strangers = {place.trail[:-1] for place, _ in found if place.trail[-1:] == ("kind",) and not place.missing}
    for place, item in found:
        sentence = _sentence(place, item)
        told = place.missing and place.trail in misspelt
        if sentence and not told and (place.trail[:-1] not in strangers or place.trail[-1] == "kind"):
            yield _problem(place, item, sentence)


def loose(root: Node, shape: Shape) -> Iterator[Problem]:
    """Literals that Pydantic takes by equality although their type differs: true and 1.0 for 1."""
    for trail, node, leaf in leaves(root, shape):
        allowed = literals(leaf)
        same = [value for value in allowed if value == node.value]
        if same and type(same[0]) is not type(node.value):
            message = f"expected {expected(leaf)}, found {describe(node.value)}"
            yield Problem(message, dotted(trail), *node.spot)


def expected(shape: Shape | None) -> str:
    """What belongs at a place, in words; empty where that is unknown."""
    match shape:
        case Leaf() if values := literals(shape):
            return _listed([_written(value) for value in values])
        case Leaf(annotation=annotation):
            return _WORDS.get(annotation, "")
        case Choice(tag=tag, models=models):
            return f"a mapping with {tag}: {_listed(list(models))}"
        case Record(model=model):
            return f"a mapping with {', '.join(fields(model))}"
        case Items(items=items, rest=None):
            return f"a list of {len(items)}"
        case Items():
            return "a list"
        case Table():
            return "a mapping"
        case None:
            return ""


def _place(loc: tuple[int | str, ...], root: Node, shape: Shape) -> _Place:
    trail: Trail = ()
    node, here = root, shape
    around: Shape | None = None
    for part in loc:
        if isinstance(here, Choice):  # Pydantic puts the tag into the path
            around, here = here, Record(here.models[str(part)])
            continue
        child, below = node.get(part), inside(here, node, part)
        if child is None and part == "[key]":
            return _Place(trail, node, False, None, around)
        if child is None:
            return _Place((*trail, part), node, True, below, here)
        trail, node, around = (*trail, part), child, here
        if below is None:
            return _Place(trail, node, False, None, around)
        here = below
    return _Place(trail, node, False, here, around)


def _problem(place: _Place, item: ErrorDetails, sentence: str) -> Problem:
    trail, spot = place.trail, place.node.spot
    match item["type"]:
        case "extra_forbidden":
            spot = place.node.key
        case "value_error" if item["loc"][-1] == "[key]":
            spot = place.node.key
        case "union_tag_invalid" | "union_tag_not_found" if isinstance(place.shape, Choice):
            tag = place.node.get(place.shape.tag)
            trail, spot = (*trail, place.shape.tag), tag.spot if tag else spot
        case "missing" if isinstance(trail[-1], int):
            trail = trail[:-1]
    return Problem(sentence, dotted(trail), *spot)


def _sentence(place: _Place, item: ErrorDetails) -> str:
    """What is wrong, without its place; empty where another error says it already."""
    value, context, found = place.node.value, item.get("ctx", {}), describe(place.node.value)
    match item["type"]:
        case "missing" if isinstance(place.trail[-1], int):
            return f"expected {expected(place.around)}, found {len(_children(value))}"
        case "missing":
            return f"is missing; expected {expected(place.shape) or 'a value'}"
        case "extra_forbidden":
            allowed = _allowed(place)
            return f"is no key here{_hint(str(place.trail[-1]), allowed)}; allowed: {', '.join(allowed)}"
        case "union_tag_invalid" | "union_tag_not_found" if isinstance(place.shape, Choice):
            return _wrong_tag(place.shape, place.node)
        case "literal_error":
            near = _hint(value, [text for text in literals(place.shape) if isinstance(text, str)])
            return f"expected {expected(place.shape)}, found {found}{near}"
        case kind if kind in _BOUNDS:
            return f"must be {_BOUNDS[kind]} {_bound(context)}, found {found}"
        case "too_short" | "too_long" as kind:
            return _wrong_length(kind, len(_children(value)), context)
        case "string_pattern_mismatch":
            return f"{found} does not have the form {context['pattern']}"
        case "value_error":
            return str(context["error"])
        case kind if kind.endswith("_type"):
            return f"expected {expected(place.shape) or item['msg']}, found {found}{_mend(value, place.shape)}"
        case _:
            return f"{item['msg']}, found {found}"


def _bound(context: dict[str, Any]) -> int | float:
    bound: int | float = next(iter(context.values()))
    return int(bound) if bound == int(bound) else bound


def _wrong_tag(choice: Choice, node: Node) -> str:
    tag = node.get(choice.tag)
    if tag is None:
        return f"is missing; expected {_listed(list(choice.models))}"
    return f"expected {_listed(list(choice.models))}, found {describe(tag.value)}{_hint(tag.value, choice.models)}"


def _wrong_length(kind: str, length: int, context: dict[str, Any]) -> str:
    """Items with errors are not counted by Pydantic: a list that is long enough as written is not complained of."""
    if kind == "too_short":
        least = context["min_length"]
        return "" if length >= least else f"needs at least {least}, found {length}"
    return f"takes at most {context['max_length']}, found {length}"


def _mend(value: object, shape: Shape | None) -> str:
    """What to write instead, where that can be told."""
    wanted = shape.annotation if isinstance(shape, Leaf) else None
    if wanted is int and isinstance(value, float) and value.is_integer():
        return f"; write {int(value)}" if abs(value) < 1e16 else "; write its digits"
    if wanted in (int, float) and isinstance(value, str) and _is_number(value):
        return "; take the quotes off"
    if wanted in (str, Ref) and isinstance(value, bool | int | float):
        return "; put it in quotes if it is text"
    return ""


def _is_number(text: str) -> bool:
    try:
        return bool(text) and type(scalar(text)) in (int, float)
    except ValueError:
        return False


def _allowed(place: _Place) -> list[str]:
    """The keys that may stand beside an unknown one."""
    allowed = list(fields(place.around.model)) if isinstance(place.around, Record) else []
    if len(place.trail) == 1:
        return [*allowed, EXTENDS]
    return [*allowed, MATRIX] if len(place.trail) == 3 and place.trail[0] == STAGES else allowed


def _hint(found: object, allowed: Iterable[str]) -> str:
    return did_you_mean(found, allowed) if isinstance(found, str) else ""


def _written(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _listed(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]


def _children(value: object) -> list[Any] | dict[str, Any]:
    return value if isinstance(value, list | dict) else []
