"""What a change will rebuild, before anything runs: two golden plans compared as plain data, run by run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from engine.compile.plan import code_in_recipe
from engine.spec.diff import diff

GoldenPlan = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Prediction:
    """The fate of one run, with the first reasons: own fields, own code, or the inputs that change before it."""

    run: str
    status: Literal["stays", "will rebuild", "new", "removed"]
    fields: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """One text a reason, in the order fields, code, inputs."""
        code = (f"code: {', '.join(self.code)}",) if self.code else ()
        inputs = (f"input: {' <- '.join(self.inputs)}",) if self.inputs else ()
        return (*self.fields, *code, *inputs)


def predict(old: GoldenPlan, new: GoldenPlan) -> tuple[Prediction, ...]:
    """One prediction a run, inputs first and else in the order of the new plan, removed runs last."""
    found: dict[str, Prediction] = {}
    for run in in_order(new["runs"]):
        after, before = new["runs"][run], old["runs"].get(run)
        if before is None:
            found[run] = Prediction(run, "new")
        elif before["recipe"] == after["recipe"]:
            found[run] = Prediction(run, "stays")
        else:
            found[run] = _rebuilt(run, before, after, found)
    gone = tuple(Prediction(run, "removed") for run in old["runs"] if run not in new["runs"])
    return (*found.values(), *gone)


def in_order(runs: Mapping[str, Any]) -> tuple[str, ...]:
    """The runs with those they read before them; the golden plans that git keeps are sorted by name."""
    ordered: dict[str, None] = {}
    waiting = list(reversed(list(runs)))
    while waiting:
        run = waiting.pop()
        missing = [need for need in needs(runs[run]) if need not in ordered]
        if missing:
            waiting += [run, *reversed(missing)]
        else:
            ordered[run] = None
    return tuple(ordered)


def needs(run: Mapping[str, Any]) -> tuple[str, ...]:
    """The runs that a run reads, each once."""
    return tuple(dict.fromkeys(name.rpartition("@")[0] for names in run["inputs"].values() for name in names))


def _rebuilt(
    run: str, before: Mapping[str, Any], after: Mapping[str, Any], above: Mapping[str, Prediction]
) -> Prediction:
    fields = tuple(str(change) for change in diff(before["stage"], after["stage"]))
    same = code_in_recipe(before) == code_in_recipe(after)  # edited code may be proven equal
    code = () if same else changed_definitions(before["code"]["definitions"], after["code"]["definitions"])
    moved = next((above[need] for need in needs(after) if above[need].status != "stays"), None)
    way = (moved.run, *moved.inputs) if moved else ()
    return Prediction(run, "will rebuild", fields, code, way)


def changed_definitions(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Names of definitions that were added, removed or edited."""
    return tuple(name for name in sorted({*before, *after}) if before.get(name) != after.get(name))
