"""Where a value of a spec comes from: the file and line that set it, what it overrode, or the default that it is."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from engine.spec.base import Spec
from engine.spec.canonical import plain
from engine.spec.errors import SpecError
from engine.spec.load import Loaded
from engine.spec.nearest import nearest
from engine.spec.shape import keys
from engine.spec.tree import Spot, Trail, dotted, first_part
from engine.spec.tree import data as plain_data

SHOWN_NAMES = 20  # of a long list in a message


@final
@dataclass(frozen=True, slots=True)
class Explanation:
    """One value of a spec: set at `spot`, or the default of `default_of`."""

    path: str
    value: Any  # plain data
    spot: Spot | None  # None for a default
    default_of: str  # "AdamW.eps"; empty for a value that is set
    about: str  # what the field, or else the spec class, says of itself
    overrode: tuple[tuple[Any, Spot], ...]  # nearest base first

    def data(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "path": self.path,
            "value": self.value,
            "set_in": str(self.spot) if self.spot else None,
            "default_of": self.default_of or None,
            "about": self.about,
            "overrode": [{"value": value, "set_in": str(spot)} for value, spot in self.overrode],
        }

    def text(self) -> str:
        """For people."""
        origin = f"set in {self.spot}" if self.spot else f"default of {self.default_of}"
        replaced = [f"  overrides {_short(value)} of {spot}" for value, spot in self.overrode]
        about = [f"  {line.strip()}" for line in self.about.splitlines() if line.strip()]
        return "\n".join([f"{self.path} = {_short(self.value)}", f"  {origin}", *replaced, *about])


@final
@dataclass(frozen=True, slots=True)
class _Step:
    """A value on the way, with the class and key of the field that holds it where it is a field."""

    value: Any
    trail: Trail
    holder: Spec | None = None


def explain(loaded: Loaded[Any], path: str) -> Explanation:
    """Explains one path, for instance `stages.stage1.optimizer.lr.peak`; SpecError for an unknown one."""
    steps = _follow(loaded.value, path)
    last = steps[-1]
    node = loaded.origins.get(last.trail)
    set_at = node.spot if node else None
    overrode = tuple((plain_data(old), old.spot) for old in node.overrode) if node else ()
    default_of = "" if node else _default(steps)
    return Explanation(dotted(last.trail), plain(last.value), set_at, default_of, _about(last), overrode)


def _follow(root: Spec, path: str) -> list[_Step]:
    steps = [_Step(root, ())]
    rest = path
    while rest:
        here = steps[-1]
        children = _children(here.value)
        found = first_part(rest, children)
        if found is None:
            raise SpecError(_unknown(rest, here, children))
        key, rest = found
        steps.append(_Step(children[key], (*here.trail, key), here.value if isinstance(here.value, Spec) else None))
    return steps


def _children(value: object) -> Mapping[str | int, Any]:
    match value:
        case Spec():
            return dict(zip(keys(type(value)), dict(value).values(), strict=True))
        case Mapping():
            return dict(value)
        case tuple() | list():
            return dict(enumerate(value))
        case _:
            return {}


def _unknown(rest: str, here: _Step, children: Mapping[str | int, Any]) -> str:
    where = dotted(here.trail) or "the spec"
    names = [str(key) for key in children]
    if not names:
        return f"{where} is {_short(plain(here.value))} and has nothing below it; found {rest!r}"
    cells = [name for name in names if name.startswith(f"{rest.split('.')[0]}[")]
    near = cells[0] if cells else nearest(rest.split(".")[0], names)
    shown = ", ".join(names[:SHOWN_NAMES]) + (", ..." if len(names) > SHOWN_NAMES else "")
    return f'{where} has no "{rest}"' + (f" (did you mean {near!r}?)" if near else "") + f"; it has {shown}"


def _default(steps: list[_Step]) -> str:
    """The field whose default made the last value: its own, or that of an outer field whose default sets it."""
    for step in reversed(steps):
        if step.holder is not None:
            names = dict(zip(keys(type(step.holder)), type(step.holder).model_fields, strict=True))
            if names[str(step.trail[-1])] not in step.holder.model_fields_set:
                return f"{type(step.holder).__name__}.{step.trail[-1]}"
    raise AssertionError("a value is authored, or some field above it holds its default")


def _about(step: _Step) -> str:
    """The docstring of the field, else of the class that stands there, else of the class that has the field."""
    described = keys(type(step.holder))[str(step.trail[-1])].description if step.holder else None
    if described:
        return described
    spec = step.value if isinstance(step.value, Spec) else step.holder
    return f"{type(spec).__name__}: {type(spec).__doc__}" if spec is not None else ""


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:88]}... ({len(text)} characters)"
