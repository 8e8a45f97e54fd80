"""Rebuilt against recorded: a row for every output, with one of the three outcomes of a comparison."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.artifacts.observation import read_observation
from engine.artifacts.recorded import Comparison, Kind, Recorded, compare, recording
from engine.artifacts.store import Store
from engine.artifacts.toolchain import Toolchain
from engine.compile.plan import Plan
from engine.compile.resolve import stage_of
from engine.spec.errors import ArtifactError


@dataclass(frozen=True, slots=True)
class Row:
    """One run and how it compares; `digests` are the outputs' content digests."""

    run: str
    kind: Kind
    digests: Mapping[str, str]
    comparison: Comparison

    @property
    def passed(self) -> bool:
        return self.comparison.status in ("equal", "another toolchain")


def digests_file(plan: Plan) -> Path:
    """Where the recorded digests of an experiment lie."""
    return plan.files[0].with_suffix(".digests.json")


def kinds(plan: Plan) -> dict[str, Kind]:
    """`compute` for runs that compute in floating point or read from one that does; their bits may move."""
    found: dict[str, Kind] = {}
    for name, run in plan.runs.items():
        own = run.stage.toolchain  # `weights` are exact too, and so compared like data
        found[name] = "compute" if own == "compute" or "compute" in {found[need] for need in run.needs} else "data"
    return found


def compared(plan: Plan, store: Store, recorded: Recorded) -> Iterator[Row]:
    """A row for every run whose artifact is in the store."""
    tolerance = plan.experiment.tolerance.relative
    for name, kind in kinds(plan).items():
        run = f"{plan.name}/{name}"
        manifest = store.manifest(run)
        if manifest is None or manifest.recipe != plan.runs[name].recipe:
            state = "not built" if manifest is None else f"built by another recipe, {manifest.recipe[:12]}"
            yield Row(
                run, kind, {}, Comparison("not recorded", f"{state}; run: dvc repro {plan.name}-{stage_of(name)}")
            )
            continue
        chain = built_with(plan, name, store)
        known = [chain.digest] if chain else [*recorded.trained, ""]  # unknown: any record that is equal will do
        found = [compare(recorded, name, manifest, kind, each, tolerance) for each in known]
        comparison = next((each for each in found if each.status == "equal"), found[-1])
        yield Row(run, kind, {key: output.digest for key, output in manifest.outputs.items()}, comparison)


def built_with(plan: Plan, name: str, store: Store) -> Toolchain | None:
    """The toolchain that built a run, as its observation tells it; claims take that of the runs they read.

    None when there is no observation of this very artifact: it came from elsewhere.
    """
    run = f"{plan.name}/{name}"
    seen, manifest = read_observation(store.observation(run)), store.manifest(run)
    mine = seen and manifest and (seen.recipe, seen.content) == (manifest.recipe, manifest.content)
    own = seen.toolchain if seen and mine else None
    if plan.runs[name].stage.toolchain == "compute":
        return own
    above = [built_with(plan, need, store) for need in plan.runs[name].needs if kinds(plan)[need] == "compute"]
    return above[0] if above else own


def recorded_now(plan: Plan, store: Store, recorded: Recorded) -> Recorded:
    """The recorded digests with those of the runs just built; all must be built by the current recipes."""
    for name, kind in kinds(plan).items():
        run = f"{plan.name}/{name}"
        manifest = store.manifest(run)
        if manifest is None or manifest.recipe != plan.runs[name].recipe:
            raise ArtifactError(
                f"{run} is not built by the current recipe; run: dvc repro {plan.name}-{stage_of(name)}"
            )
        chain = built_with(plan, name, store)
        if chain is None:
            raise ArtifactError(
                f"{store.observation(run)} does not tell which toolchain built {run}, which came from elsewhere; "
                f"build it here to record it: remove {store.folder(run)} and run dvc repro {plan.name}-{stage_of(name)}"
            )
        recorded = recording(recorded, name, manifest, kind, chain.digest, chain.facts)
    return Recorded(
        data={name: record for name, record in recorded.data.items() if name in plan.runs},
        trained=recorded.trained,
    )
