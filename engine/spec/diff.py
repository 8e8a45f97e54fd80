"""The difference of two pieces of plain data as a value: printed, filtered, or applied to the old to give the new."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, final

from engine.spec.tree import Trail, dotted


@final
@dataclass(frozen=True, slots=True)
class Changed:
    """One value became another."""

    trail: Trail
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{dotted(self.trail) or '(all)'}: {_short(self.before)} -> {_short(self.after)}"


@final
@dataclass(frozen=True, slots=True)
class Added:
    """A key that was not there."""

    trail: Trail
    after: Any

    def __str__(self) -> str:
        return f"{dotted(self.trail)}: added {_short(self.after)}"


@final
@dataclass(frozen=True, slots=True)
class Removed:
    """A key that is gone."""

    trail: Trail
    before: Any

    def __str__(self) -> str:
        return f"{dotted(self.trail)}: removed {_short(self.before)}"


Change: TypeAlias = Changed | Added | Removed


def diff(old: object, new: object) -> tuple[Change, ...]:
    """Every change from one value of plain JSON data to another, sorted by key.

    Lists of equal length are compared item by item, others change as a whole. 1, 1.0 and true are three values.
    """
    return tuple(_changes(old, new, ()))


def apply(old: object, changes: Sequence[Change]) -> Any:
    """The new value; `apply(old, diff(old, new))` equals `new`."""
    value: Any = old
    for change in changes:
        value = _applied(value, change, change.trail)
    return value


def _changes(old: object, new: object, trail: Trail) -> Iterator[Change]:
    match old, new:
        case dict(), dict():
            for key in sorted(old.keys() | new.keys()):
                yield from _entry(old, new, key, (*trail, key))
        case (list() | tuple(), list() | tuple()) if len(old) == len(new):
            for index, (before, after) in enumerate(zip(old, new, strict=True)):
                yield from _changes(before, after, (*trail, index))
        case _ if not _same(old, new):
            yield Changed(trail, old, new)


def _entry(old: dict[str, Any], new: dict[str, Any], key: str, trail: Trail) -> Iterator[Change]:
    if key not in new:
        yield Removed(trail, old[key])
    elif key not in old:
        yield Added(trail, new[key])
    else:
        yield from _changes(old[key], new[key], trail)


def _same(old: object, new: object) -> bool:
    """Equal scalars: repr tells 1 from 1.0 and true, and 0.0 from -0.0, as the canonical bytes do."""
    return not any(isinstance(value, dict | list | tuple) for value in (old, new)) and repr(old) == repr(new)


def _applied(value: Any, change: Change, trail: Trail) -> Any:
    if not trail:
        assert isinstance(change, Changed)
        return change.after
    part, rest = trail[0], trail[1:]
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    match change:
        case Removed() if not rest:
            del copy[part]
        case Added() if not rest:
            copy[part] = change.after
        case _:
            copy[part] = _applied(copy[part], change, rest)
    return copy


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 72 else f"{text[:60]}... ({len(text)} characters)"
