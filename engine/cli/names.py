"""Names on the command line: RUN `experiment/stage[cell]` and ARTIFACT `experiment/stage[cell]@output`."""

from typing import NamedTuple

from engine.cli.project import Project
from engine.compile.plan import Plan, PlannedRun
from engine.compile.resolve import named_outputs, settled
from engine.spec.errors import SpecError
from engine.spec.nearest import did_you_mean
from engine.spec.ref import Ref


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
    if not slash or not name:
        raise SpecError(f"{text!r} is no run; write experiment/stage, for instance quickstart/rows")
    plan = here.plan(experiment)
    if name not in plan.runs:
        known = list(plan.runs)
        raise SpecError(f"{experiment} has no run {name!r}; it has {', '.join(known)}{did_you_mean(name, known)}")
    return Artifact(plan, plan.runs[name], "")


def artifact_named(text: str, here: Project) -> Artifact:
    """The output that `experiment/stage@output` names; `@final` is the last checkpoint."""
    name, at, output = text.partition("@")
    found = run_named(name, here)
    if not at:
        return found
    try:
        ref = Ref.parse(f"{found.run.name}@{output}")
    except ValueError as error:
        raise SpecError(str(error)) from error
    lowered = {run: planned.stage for run, planned in found.plan.runs.items()}
    outputs = named_outputs(settled(ref, lowered).parts, found.run.stage)
    if len(outputs) != 1:
        known = found.run.stage.outputs()
        raise SpecError(f"{name} has no output {output!r}; it has {', '.join(known)}{did_you_mean(output, known)}")
    return Artifact(found.plan, found.run, outputs[0])
