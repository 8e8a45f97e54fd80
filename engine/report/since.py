"""Recorded runs whose recipe is not that of the plan any more, and whether their code or their spec changed since."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.artifacts.manifest import recipe_digest
from engine.artifacts.recorded import Recorded, RecordedData, RecordedTrained
from engine.compile.plan import code_in_recipe
from engine.spec.errors import ArtifactError

PLAN = ".plan.json"
UNKNOWN = "code or spec"
"""What changed of a run whose record says nothing of its code: records have told it only since code can be proven."""

Known = Mapping[str, RecordedData | RecordedTrained]


def changed_since(plan: Path, recorded: Recorded) -> dict[str, str]:
    """By run, *recorded at recipe X, code changed since*; nothing of runs as they are, or where there is no plan."""
    if not plan.is_file():
        return {}
    try:
        runs: dict[str, Any] = json.loads(plan.read_text("utf-8"))["runs"]
    except (ValueError, KeyError) as error:
        raise ArtifactError(f"{plan} is no golden plan; run: facsimile compile") from error
    known = records(recorded)
    return {run: told(known[run].recipe, what) for run in sorted(known) if (what := changes(run, runs, known))}


def records(recorded: Recorded) -> dict[str, RecordedData | RecordedTrained]:
    """One record of each run: all toolchains have it by the same recipe."""
    found: dict[str, RecordedData | RecordedTrained] = dict(recorded.data)
    for chain in recorded.trained.values():
        found |= chain.runs
    return found


def told(recipe: str, what: frozenset[str]) -> str:
    """What a page says of it."""
    names = UNKNOWN if UNKNOWN in what else " and ".join(sorted(what))
    return f"recorded at recipe {recipe[:12]}, {names} changed since"


def changes(run: str, runs: Mapping[str, Any], known: Known) -> frozenset[str]:
    """What changed of a run, or of those that it reads; nothing where its recipe is the recorded one."""
    record, entry = known.get(run), runs.get(run)
    if entry is None:
        return frozenset({"spec"})
    if record is None or record.recipe == entry["recipe"]:
        return frozenset()
    sources = {ref: [name.rpartition("@")[0] for name in names] for ref, names in entry["inputs"].items()}
    needs = {need for names in sources.values() for need in names}
    if not record.code or not needs <= known.keys():
        return frozenset({UNKNOWN})
    recipes = {ref: tuple(known[name].recipe for name in names) for ref, names in sources.items()}
    same_spec = recipe_digest(entry["stage"], recipes, record.code) == record.recipe
    own = {"spec": not same_spec, "code": record.code != code_in_recipe(entry)}
    return frozenset(name for name, changed in own.items() if changed).union(
        *(changes(need, runs, known) for need in needs)
    )
