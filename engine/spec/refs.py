"""Walking the references of a spec: where they stand, and a copy in which they are rewritten."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from engine.spec.base import Spec
from engine.spec.ref import Ref

Path = tuple[str, ...]
S = TypeVar("S", bound=Spec)


def references(value: object, path: Path = ()) -> Iterator[tuple[Path, Ref]]:
    """Every reference in a spec with its path, in field order."""
    match value:
        case Ref():
            yield path, value
        case Spec():
            for name, field in type(value).model_fields.items():
                yield from references(value.__dict__[name], (*path, field.alias or name))
        case tuple():
            for index, item in enumerate(value):
                yield from references(item, (*path, str(index)))
        case dict():
            for key, item in value.items():
                yield from references(item, (*path, key))


def rewrite(spec: S, change: Callable[[Ref], Ref]) -> S:
    """A copy in which every reference went through `change`."""
    fields = {name: _rewritten(spec.__dict__[name], change) for name in type(spec).model_fields}
    changes = {name: new for name, new in fields.items() if new is not spec.__dict__[name]}
    return spec.replace(**changes) if changes else spec


def _rewritten(value: object, change: Callable[[Ref], Ref]) -> object:
    match value:
        case Ref():
            new = change(value)
            return value if new == value else new
        case Spec():
            return rewrite(value, change)
        case tuple():
            items = tuple(_rewritten(item, change) for item in value)
            return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
        case dict():
            mapped = {key: _rewritten(item, change) for key, item in value.items()}
            return mapped if any(mapped[key] is not value[key] for key in value) else value
        case _:
            return value
