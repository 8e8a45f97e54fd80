"""A compiled experiment: every run with its lowered stage, inputs, code and recipe digest; as golden JSON in git."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import JsonValue

from engine.artifacts.manifest import recipe_digest
from engine.compile.check import problems
from engine.compile.code import Code, CodeIndex
from engine.compile.equivalence import NONE, Equivalences
from engine.compile.estimate import StageEstimate, estimate
from engine.compile.estimate.device import CORE, Device, device_of
from engine.compile.layouts import layout_of
from engine.compile.lower import lower
from engine.compile.resolve import cell_of, named_outputs, named_runs, stage_of
from engine.experiment import Experiment, Lowered
from engine.spec.canonical import digest, plain, pretty
from engine.spec.errors import Problem, SpecError
from engine.spec.layout import Layout
from engine.spec.load import Loaded, load
from engine.spec.nearest import did_you_mean
from engine.spec.refs import references
from engine.train.deepspeed import deepspeed_config
from engine.train.spec import TrainPlan

ENTRY = ("engine.dispatch", "run_stage")
NO_LAYOUTS: Mapping[str, Layout] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class PlannedInput:
    """What one reference of a stage stands for: (run, output) pairs."""

    ref: str
    sources: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One run: `name` is the stage, with its cell where there is a matrix; `code_as` is the code of its recipe.

    That is the digest of its own code, or the oldest that this code is proven equal to.
    """

    name: str
    stage: Lowered
    inputs: tuple[PlannedInput, ...]
    code: Code
    code_as: str
    recipe: str
    estimate: StageEstimate
    layout: Layout | None = None
    """Of a training run, unless its command says otherwise."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The runs whose outputs it reads, each once."""
        return tuple(dict.fromkeys(run for item in self.inputs for run, _ in item.sources))


@dataclass(frozen=True, slots=True)
class Plan:
    """All runs of an experiment in an order in which they can run, and the files that say so."""

    experiment: Experiment
    runs: Mapping[str, PlannedRun]
    files: tuple[Path, ...]

    @property
    def name(self) -> str:
        return self.experiment.experiment

    def cells(self, stage: str) -> tuple[PlannedRun, ...]:
        """The runs of a stage: one, or the cells of its matrix."""
        found = tuple(run for run in self.runs.values() if stage_of(run.name) == stage)
        if not found:
            known = self.stages()
            raise SpecError(
                f"{self.name} has no stage {stage!r}; it has {', '.join(known)}{did_you_mean(stage, known)}"
            )
        return found

    def stages(self) -> tuple[str, ...]:
        """The names of the stages, without cells."""
        return tuple(dict.fromkeys(stage_of(run) for run in self.runs))

    def recipe(self, stage: str) -> str:
        """The digest that the command of a stage carries: its run's recipe, or one over all its cells."""
        cells = self.cells(stage)
        if len(cells) == 1 and not cell_of(cells[0].name):
            return cells[0].recipe
        return digest({cell.name: cell.recipe for cell in cells})


def compile_spec(path: Path, specs: Path, code: CodeIndex, proven: Equivalences = NONE) -> Plan:
    """The plan of a spec file; SpecError carries every problem with its place."""
    loaded = load(path, Experiment, specs)
    found = problems(loaded.value)
    if found:
        raise SpecError(*(located(problem, loaded) for problem in found))
    device = device_of(loaded.value.scale)
    runs = plan_runs(lower(loaded.value), code, device, proven, loaded.value.layouts)
    return Plan(loaded.value, runs, loaded.files)


def located(problem: Problem, loaded: Loaded[Experiment]) -> Problem:
    """The problem with the place where its value, or the nearest mapping round it, was written."""
    place = loaded.locate(problem.path)
    return Problem(problem.message, problem.path, place.file, place.line, place.column)


def plan_runs(
    stages: Mapping[str, Lowered],
    code: CodeIndex,
    device: Device = CORE,
    proven: Equivalences = NONE,
    layouts: Mapping[str, Layout] = NO_LAYOUTS,
) -> dict[str, PlannedRun]:
    """Recipe digests in order: each from the lowered stage, the recipes of its inputs and its code digest."""
    runs: dict[str, PlannedRun] = {}
    for name, stage in stages.items():
        inputs = planned_inputs(stage, stages)
        recipes = {item.ref: tuple(runs[run].recipe for run, _ in item.sources) for item in inputs}
        reached = code.reach(ENTRY, stage)
        code_as = proven.oldest(reached.digest, stage)
        recipe = recipe_digest(plain(stage), recipes, code_as)
        layout = layout_of(name, stage, layouts)
        cost = estimate(stage, device, stages, layout)
        runs[name] = PlannedRun(name, stage, inputs, reached, code_as, recipe, cost, layout)
    return runs


def planned_inputs(stage: Lowered, stages: Mapping[str, Lowered]) -> tuple[PlannedInput, ...]:
    """Every distinct reference of a stage with the outputs it names."""
    inputs = []
    for ref in dict.fromkeys(ref for _, ref in references(stage)):
        names = named_runs(ref.parts, stages)
        pairs = tuple((run, output) for run in names for output in named_outputs(ref.parts, stages[run]))
        inputs.append(PlannedInput(str(ref), pairs))
    return tuple(inputs)


def golden(plan: Plan) -> dict[str, JsonValue]:
    """The plan as the JSON data that git keeps beside the spec."""
    head: dict[str, JsonValue] = {"format": 1, "experiment": plan.name, "paper": plan.experiment.paper}
    return {**head, "runs": {name: _golden_run(run) for name, run in plan.runs.items()}}


def _golden_run(run: PlannedRun) -> dict[str, Any]:
    proven = {"as": run.code_as} if run.code_as != run.code.digest else {}
    return {
        "recipe": run.recipe,
        "code": {"digest": run.code.digest, **proven, "definitions": dict(run.code.definitions)},
        "inputs": {item.ref: [f"{name}@{output}" for name, output in item.sources] for item in run.inputs},
        "stage": plain(run.stage),
        **_placed(run),
        "estimate": plain(run.estimate),
    }


def _placed(run: PlannedRun) -> dict[str, Any]:
    """The layout of a training run whose identity does not hold it, and the DeepSpeed JSON that follows."""
    if run.layout is None or not isinstance(run.stage, TrainPlan) or run.stage.layout is not None:
        return {}
    return {"layout": plain(run.layout), "deepspeed": deepspeed_of(run)}


def deepspeed_of(run: PlannedRun) -> dict[str, JsonValue]:
    """The DeepSpeed JSON of a training run in its layout; empty for other runs."""
    if run.layout is None or not isinstance(run.stage, TrainPlan):
        return {}
    return dict(run.stage.deepspeed) or deepspeed_config(run.stage.batch, run.layout)


def code_in_recipe(entry: Mapping[str, Any]) -> str:
    """The code digest that the recipe of a golden run holds."""
    code = entry["code"]
    return str(code.get("as", code["digest"]))


def golden_text(plan: Plan) -> str:
    """The bytes of `<experiment>.plan.json`."""
    return pretty(golden(plan))
