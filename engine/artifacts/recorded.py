"""Recorded digests: what an experiment gave when it was recorded, and how a rebuild compares with it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

from pydantic import Field, ValidationError

from engine.artifacts.manifest import Manifest
from engine.spec.base import NEUTRAL, Spec
from engine.spec.canonical import pretty
from engine.spec.errors import ArtifactError

Kind = Literal["data", "compute"]
"""`data`: the bits hold on every machine. `compute`: the stage, or one behind it, computes in floating point."""

Status = Literal["equal", "another toolchain", "different", "not recorded"]

INITIAL = "step-0"  # the initial weights of a training run: drawn from integers, so equal on every machine


class RecordedData(Spec):
    """Digests that hold on every machine: all outputs of a data run, the initial weights of a training run."""

    recipe: str
    outputs: dict[str, str]
    content: str = ""
    """That of the whole run, metrics included; empty where only some of its outputs are here."""
    code: str = Field(default="", json_schema_extra={NEUTRAL: ""})
    """The code digest of the recipe, which tells later whether code or spec changed; empty in older records."""


class RecordedTrained(Spec):
    """Digests and metrics that hold on one toolchain; a metric's name is its dotted path."""

    recipe: str
    outputs: dict[str, str]
    content: str
    metrics: dict[str, float]
    code: str = Field(default="", json_schema_extra={NEUTRAL: ""})


class RecordedToolchain(Spec):
    """One toolchain: its facts, for people, and what it gave."""

    facts: dict[str, str]
    runs: dict[str, RecordedTrained]


class Recorded(Spec):
    """The file `specs/<paper>/<experiment>.digests.json`; runs are keyed by name, toolchains by digest."""

    format: Literal[1] = 1
    data: dict[str, RecordedData] = Field(default={})
    trained: dict[str, RecordedToolchain] = Field(default={})


@final
@dataclass(frozen=True, slots=True)
class Comparison:
    """The outcome for one run; `difference` is the largest relative one of a metric, None where none is known."""

    status: Status
    detail: str
    difference: float | None = None


def load_recorded(path: Path) -> Recorded:
    """The recorded digests in a file; a file that is not there records nothing."""
    if not path.exists():
        return Recorded()
    try:
        return Recorded.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ArtifactError(
            f"{path}: not a file of recorded digests: {error.errors()[0]['msg']}; take it back from Git, "
            "or delete it and run `facsimile record`"
        ) from error


def recorded_text(recorded: Recorded) -> str:
    """The text of the file."""
    return pretty(recorded)


def flat_metrics(metrics: Mapping[str, object]) -> dict[str, float]:
    """Numbers by dotted path; texts, truth values and nulls are left out."""
    return dict(_numbers("", metrics))


def _numbers(path: str, value: object) -> Iterator[tuple[str, float]]:
    match value:
        case bool():
            return
        case int() | float():
            yield path, float(value)
        case Mapping():
            for key in sorted(value):
                yield from _numbers(f"{path}.{key}" if path else str(key), value[key])
        case _:
            return


def recording(
    recorded: Recorded, run: str, manifest: Manifest, kind: Kind, toolchain: str, facts: Mapping[str, str]
) -> Recorded:
    """`recorded` with what `manifest` says of `run`; what other toolchains gave for the same recipe stays."""
    outputs = {name: output.digest for name, output in sorted(manifest.outputs.items())}
    always = outputs if kind == "data" else {name: outputs[name] for name in (INITIAL,) if name in outputs}
    data = {name: known for name, known in recorded.data.items() if name != run}
    if always:
        content = manifest.content if kind == "data" else ""
        data[run] = RecordedData(recipe=manifest.recipe, outputs=always, content=content, code=manifest.code)
    trained = {name: _current(known, run, manifest.recipe) for name, known in recorded.trained.items()}
    if kind == "compute":
        runs = trained[toolchain].runs if toolchain in trained else {}
        metrics = flat_metrics(manifest.metrics)
        found = RecordedTrained(
            recipe=manifest.recipe, outputs=outputs, content=manifest.content, metrics=metrics, code=manifest.code
        )
        trained[toolchain] = RecordedToolchain(facts=dict(facts), runs=runs | {run: found})
    return Recorded(data=data, trained={name: known for name, known in trained.items() if known.runs})


def _current(known: RecordedToolchain, run: str, recipe: str) -> RecordedToolchain:
    """Without the record of `run` if it belongs to another recipe: nothing can be compared with it any more."""
    return known.replace(runs={n: r for n, r in known.runs.items() if n != run or r.recipe == recipe})


def compare(
    recorded: Recorded, run: str, manifest: Manifest, kind: Kind, toolchain: str, tolerance: float
) -> Comparison:
    """How a rebuilt run compares with what was recorded for it; `tolerance` is relative to the recorded metrics."""
    outputs = {name: output.digest for name, output in manifest.outputs.items()}
    data = recorded.data.get(run)
    if kind == "data":
        return _not_recorded(run) if data is None else _same_machine(data, manifest)
    here = recorded.trained.get(toolchain)
    if here is not None and run in here.runs:
        known = here.runs[run]
        found = _same_machine(known, manifest)
        return Comparison(found.status, found.detail, largest_difference(known.metrics, flat_metrics(manifest.metrics)))
    elsewhere = [chain.runs[run] for chain in recorded.trained.values() if run in chain.runs]
    if not elsewhere:
        return _not_recorded(run)
    return _other_machine(data, elsewhere, manifest, outputs, tolerance)


def _not_recorded(run: str) -> Comparison:
    return Comparison("not recorded", f"no digest is recorded for {run}; `facsimile record` writes one")


def _same_machine(known: RecordedData | RecordedTrained, manifest: Manifest) -> Comparison:
    outputs = {name: output.digest for name, output in manifest.outputs.items()}
    differing = first_differing(known.outputs, outputs)
    if not differing and known.recipe != manifest.recipe:
        return Comparison("equal", f"by another recipe, {manifest.recipe[:12]}")
    if known.recipe != manifest.recipe:
        made = f"recorded for recipe {known.recipe[:12]}, built by {manifest.recipe[:12]}"
        return Comparison("not recorded", f"{made}; `facsimile record` records it")
    if differing:
        return Comparison("different", _differs(differing, known.outputs, outputs))
    if known.content != manifest.content:
        return Comparison("different", "the outputs are those that were recorded, the metrics are not")
    return Comparison("equal", "")


def _other_machine(
    data: RecordedData | None,
    elsewhere: list[RecordedTrained],
    manifest: Manifest,
    outputs: Mapping[str, str],
    tolerance: float,
) -> Comparison:
    same_recipe = [known for known in elsewhere if known.recipe == manifest.recipe]
    if not same_recipe:
        detail = f"recorded for recipe {elsewhere[0].recipe[:12]}, built by {manifest.recipe[:12]}, on other toolchains"
        return Comparison("not recorded", detail)
    always = {} if data is None else data.outputs
    differing = first_differing(always, {name: outputs[name] for name in always if name in outputs})
    if differing:
        return Comparison("different", _differs(differing, always, outputs) + ", which no toolchain may change")
    found = flat_metrics(manifest.metrics)
    distances = [largest_difference(known.metrics, found) for known in same_recipe]
    known_distances = [distance for distance in distances if distance is not None]
    if not known_distances:
        return Comparison("different", "other metrics are reported than were recorded")
    nearest = min(known_distances)
    if nearest > tolerance:
        return Comparison("different", f"results differ by {nearest:.2g}, more than {tolerance:.2g}", nearest)
    return Comparison("another toolchain", f"data equal, results within {nearest:.2g}", nearest)


def first_differing(known: Mapping[str, str], found: Mapping[str, str]) -> str:
    """The first output, by name, that the two do not share with one digest; empty when they are the same."""
    return next((name for name in sorted({*known, *found}) if known.get(name) != found.get(name)), "")


def _differs(name: str, known: Mapping[str, str], found: Mapping[str, str]) -> str:
    was, now = known.get(name, "nothing")[:12], found.get(name, "nothing")[:12]
    return f"output {name}: {was} was recorded, {now} was built"


def largest_difference(known: Mapping[str, float], found: Mapping[str, float]) -> float | None:
    """The largest |found - known| / |known|; None when the names differ or only one of two is zero."""
    if set(known) != set(found):
        return None
    largest = 0.0
    for name, was in known.items():
        if was == found[name]:
            continue
        if was == 0:
            return None
        largest = max(largest, abs(found[name] - was) / abs(was))
    return largest
