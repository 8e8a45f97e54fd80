"""Names on the command line: RUN `experiment/stage[cell]` and ARTIFACT `experiment/stage[cell]@output`."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from engine.artifacts.manifest import MANIFEST
from engine.cli.project import Project
from engine.compile.plan import Plan, PlannedRun
from engine.compile.resolve import cell_of, named_outputs, settled, stage_of
from engine.spec.errors import ArtifactError, SpecError
from engine.spec.nearest import did_you_mean
from engine.spec.ref import Ref

if TYPE_CHECKING:  # importing it takes longer than the help of a verb may
    from engine.artifacts.store import Store


class Artifact(NamedTuple):
    """A run of a plan and one of its outputs (empty: the run as a whole)."""

    plan: Plan
    run: PlannedRun
    output: str

    @property
    def name(self) -> str:
        return f"{self.plan.name}/{self.run.name}"


def run_named(text: str, here: Project) -> Artifact:
    """The run that `experiment/stage` or `experiment/stage[cell]` names."""
    experiment, slash, name = text.partition("/")
    if (Path(text) / MANIFEST).is_file():
        run = "/".join(Path(text).resolve().parts[-2:])
        raise SpecError(f"{text} is a folder; name what lies in it: {run}, or {run}@OUTPUT")
    if "@" in name:
        raise SpecError(f"{text!r} is an output; name the run: {text.partition('@')[0]}")
    if not slash or not name:
        known = ", ".join(here.plan(experiment).stages())
        raise SpecError(f"{text!r} is an experiment; write {experiment}/STAGE, where STAGE is one of {known}")
    plan = here.plan(experiment)
    return Artifact(plan, plan.runs[cell_named(name, plan)], "")


def cell_named(name: str, plan: Plan) -> str:
    """The name of a run of the plan, whatever the order of the axes in its cell."""
    cells = [run.name for run in plan.cells(stage_of(name))]
    wanted = set(cell_of(name).split(","))
    found = [cell for cell in cells if set(cell_of(cell).split(",")) == wanted]
    if found:
        return found[0]
    if cells == [stage_of(name)]:
        raise SpecError(f"{plan.name}/{cells[0]} has no matrix and so no cells; leave [{cell_of(name)}] out")
    raise SpecError(f"{plan.name} has no run {name!r}; it has {', '.join(cells)}{did_you_mean(name, cells)}")


def artifact_named(text: str, here: Project) -> Artifact:
    """The output that `experiment/stage@output` names; `@final` is the last checkpoint."""
    name, at, output = text.partition("@")
    found = run_named(name, here)
    if not at:
        return found
    try:
        ref = Ref.parse(f"{found.run.name}@{output}")
    except ValueError:
        outputs: tuple[str, ...] = ()
    else:
        lowered = {run: planned.stage for run, planned in found.plan.runs.items()}
        outputs = named_outputs(settled(ref, lowered).parts, found.run.stage)
    if len(outputs) != 1:
        known = found.run.stage.outputs()
        raise SpecError(f"{name} has no output {output!r}; it has {', '.join(known)}{did_you_mean(output, known)}")
    return Artifact(found.plan, found.run, outputs[0])


def built_named(text: str, here: Project, store: "Store") -> tuple[str, str]:
    """Run and output as the built artifact has them, whatever its spec says by now; else as the plan has them."""
    run, at, output = text.partition("@")
    try:
        manifest = store.manifest(run) if "/" in run and not (Path(run) / MANIFEST).is_file() else None
    except ArtifactError:
        manifest = None  # damaged: what follows will say so
    if manifest is None:
        found = artifact_named(text, here)
        return found.name, found.output
    steps = sorted((name for name in manifest.outputs if name.startswith("step-")), key=lambda name: int(name[5:]))
    wanted = steps[-1] if output == "final" and steps else output
    if at and wanted not in manifest.outputs:
        known = list(manifest.outputs)
        raise SpecError(f"{run} has no output {output!r}; it has {', '.join(known)}{did_you_mean(output, known)}")
    return run, wanted
