"""One stage: check digests, scratch folder, dispatch, hash, manifest, rename. Nothing half-made is ever visible."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import JsonValue

from engine.artifacts import disk
from engine.artifacts.draft import Draft
from engine.artifacts.environment import not_in_effect
from engine.artifacts.manifest import InputRecord, Manifest, Output, content_digest
from engine.artifacts.observation import OBSERVED, Stopwatch, observe
from engine.artifacts.placement import Placement
from engine.artifacts.read import Input, Inputs
from engine.artifacts.store import OBSERVATION, Store
from engine.artifacts.toolchain import Toolchain, toolchain, with_libraries
from engine.compile.dvc import result_paths
from engine.compile.libraries import libraries
from engine.compile.plan import Plan, PlannedRun
from engine.compile.resolve import cell_of, stage_of
from engine.data.pool import in_order
from engine.dispatch import run_stage
from engine.evaluate.lm_eval.spec import LmEvalPlan
from engine.evaluate.spec import PerplexityPlan
from engine.experiment import Lowered
from engine.spec.canonical import digest, plain, pretty
from engine.spec.errors import ArtifactError
from engine.spec.numerics import Numerics
from engine.train.spec import TrainPlan

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened to one run."""

    run: str
    status: Literal["built", "kept"]
    manifest: Manifest


def run_all(plan: Plan, stage: str, placement: Placement, argv: tuple[str, ...], say: Say) -> tuple[Outcome, ...]:
    """Builds a stage: its one run, or every cell of its matrix that is not there yet."""
    store = Store(placement.artifacts)
    cells = plan.cells(stage)
    store.keep_only(f"{plan.name}/{stage}", tuple(cell_of(cell.name) for cell in cells if cell_of(cell.name)))
    outcomes = tuple(_outcomes(plan, cells, placement, argv, say))
    if placement.results is not None:
        write_results(plan, stage, outcomes, placement)
    return outcomes


def _outcomes(
    plan: Plan, cells: tuple[PlannedRun, ...], placement: Placement, argv: tuple[str, ...], say: Say
) -> Iterator[Outcome]:
    """Each cell built or kept; several at a time where there are workers, each of which then works alone."""
    if len(cells) == 1 or placement.workers == 1:
        store = Store(placement.artifacts)
        yield from (run_one(plan, cell, store, placement, argv, say) for cell in cells)
        return
    task = partial(_run_cell, plan, replace(placement, workers=1, executor="process"), argv)
    yield from (outcome for _, outcome in in_order(task, zip(cells, cells, strict=True), placement))


def _run_cell(plan: Plan, placement: Placement, argv: tuple[str, ...], cell: PlannedRun) -> Outcome:
    return run_one(plan, cell, Store(placement.artifacts), placement, argv, _say)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run_one(
    plan: Plan, planned: PlannedRun, store: Store, placement: Placement, argv: tuple[str, ...], say: Say
) -> Outcome:
    """Builds one run, or keeps the whole artifact of the same recipe that is already there."""
    run = f"{plan.name}/{planned.name}"
    inputs = open_inputs(plan, planned, store)
    kept = kept_artifact(run, planned.recipe, inputs, store, say)
    if kept is not None:
        return Outcome(run, "kept", kept)
    say(f"{run}: building, recipe {planned.recipe[:12]}")
    check_inputs(store, inputs)
    watch, used = Stopwatch.start(), toolchain_of(planned.stage)
    refuse_numerics(planned.stage, used)
    keep = isinstance(planned.stage, TrainPlan)
    with store.begin(run, draft_key(planned, inputs, used), keep) as draft, disk.writing(draft.folder):
        try:
            metrics = run_stage(planned.stage, inputs, draft, laid_out(placement, planned))
        except Exception:
            if not keep:
                disk.remove(draft.folder)  # nobody takes it up again, and the disk may be full
            refuse_edited(store, inputs, draft)  # which explains most failures
            raise
        refuse_edited(store, inputs, draft)
        manifest = make_manifest(run, planned, inputs, draft, metrics)
        observed = read_observed(draft)
        observe(draft.folder / OBSERVATION, run, manifest, used, watch, placement.root, argv, observed)
        store.commit(draft, manifest)
    return Outcome(run, "built", manifest)


def laid_out(placement: Placement, planned: PlannedRun) -> Placement:
    """The placement with the layout that the spec suggests, where none was given."""
    return placement if placement.layout is not None else replace(placement, layout=planned.layout)


def kept_artifact(run: str, recipe: str, inputs: Inputs, store: Store, say: Say) -> Manifest | None:
    """The artifact that is already there, if it is of this recipe, was made of these inputs, and has all its bytes."""
    store.finish_killed(run, recipe)
    if not store.whole(run, recipe):
        return None
    manifest = store.manifest(run)
    assert manifest is not None
    if manifest.inputs != input_records(inputs):
        say(f"{run}: was made of other inputs than lie here now; building it again")
        return None
    damage = store.verify_seal(run)
    if damage:
        say(f"{run}: is damaged, building it again: {damage[0]}")
        return None
    return manifest


def draft_key(planned: PlannedRun, inputs: Inputs, used: Toolchain) -> str:
    """What a killed run's finished outputs depend on; they are taken up again only where all of it is the same."""
    return digest({"recipe": planned.recipe, "toolchain": used.digest, "inputs": input_records(inputs)})


def refuse_numerics(stage: Lowered, used: Toolchain) -> None:
    """ArtifactError when the libraries of this process do not compute as the stage's numerics say."""
    numerics = numerics_of(stage)
    odd = [] if numerics is None else not_in_effect(numerics, used.facts)
    if odd:
        raise ArtifactError(f"{'; '.join(odd)}: this machine cannot compute as the spec's numerics say")


def refuse_edited(store: Store, inputs: Inputs, draft: Draft) -> None:
    """ArtifactError when an input was edited meanwhile; nothing of the draft stays, not even for a resumed run."""
    try:
        check_inputs(store, inputs, "changed while the stage ran; nothing was kept")
    except ArtifactError:
        disk.remove(draft.folder)
        raise


def open_inputs(plan: Plan, planned: PlannedRun, store: Store) -> Inputs:
    """The built outputs that the stage reads; each must have the recipe that the plan says."""
    found: dict[str, tuple[Input, ...]] = {}
    for item in planned.inputs:
        found[item.ref] = tuple(open_one(plan, name, output, store) for name, output in item.sources)
    return Inputs(found)


def open_one(plan: Plan, name: str, output: str, store: Store) -> Input:
    """One built output; ArtifactError names the command that builds it when it is not there."""
    run = f"{plan.name}/{name}"
    manifest = store.manifest(run)
    if manifest is None or not store.whole(run, plan.runs[name].recipe):
        state = "is not built" if manifest is None else "was built by another recipe, or is not whole"
        raise ArtifactError(f"{run} {state}; build it first: dvc repro {plan.name}-{stage_of(name)}")
    return Input(f"{name}@{output}", run, output, store.folder(run) / output, manifest.outputs[output].digest, manifest)


def check_inputs(store: Store, inputs: Inputs, what: str = "is not as its manifest says") -> None:
    """Hashes every file that the stage reads; ArtifactError names the first that is not as recorded."""
    for run, outputs in inputs.by_run().items():
        if store.manifest(run) != inputs.manifest(run):
            raise ArtifactError(f"input {run} {what}: another artifact was put in its place")
        for problem in store.verify_seal(run, outputs):
            raise ArtifactError(f"input {run} {what}: {problem}; `facsimile audit {run}@{outputs[0]}` tells more")


def make_manifest(
    run: str, planned: PlannedRun, inputs: Inputs, draft: Draft, metrics: Mapping[str, JsonValue]
) -> Manifest:
    """The manifest of a finished draft; the stage must have closed exactly the outputs that its spec names."""
    outputs = draft.outputs()
    assert set(outputs) == set(planned.stage.outputs()), f"{run} wrote {sorted(outputs)}"
    return Manifest(
        format=1,
        run=run,
        recipe=planned.recipe,
        code=planned.code_as,
        content=content_digest(outputs, metrics),
        stage=plain(planned.stage),
        inputs=input_records(inputs),
        outputs=outputs,
        metrics=dict(metrics),
    )


def input_records(inputs: Inputs) -> dict[str, tuple[InputRecord, ...]]:
    """What the manifest says of the inputs."""
    return {ref: tuple(_record(item) for item in inputs.all(ref)) for ref in inputs.refs()}


def _record(item: Input) -> InputRecord:
    made = item.manifest
    return InputRecord(run=item.run, output=item.output, recipe=made.recipe, digest=item.digest, content=made.content)


def toolchain_of(stage: Lowered) -> Toolchain:
    """The toolchain that a stage of this kind depends on."""
    found = toolchain(stage.toolchain, numerics_of(stage), compiles(stage))
    return with_libraries(found, tuple(sorted(libraries(stage))))


def compiles(stage: Lowered) -> bool:
    """Whether the stage declares native kernels or a compiled graph."""
    match stage:
        case TrainPlan() | PerplexityPlan() | LmEvalPlan():
            return stage.kernels.compiles()
        case _:
            return False


def numerics_of(stage: Lowered) -> Numerics | None:
    """The numerics of a stage that computes in floating point."""
    match stage:
        case TrainPlan() | PerplexityPlan() | LmEvalPlan():
            return stage.numerics
        case _:
            return None


def read_observed(draft: Draft) -> dict[str, Any]:
    """What the stage measured about itself; it lies outside the hashed outputs."""
    path = draft.folder / OBSERVED
    if not path.is_file():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def write_results(plan: Plan, stage: str, outcomes: tuple[Outcome, ...], placement: Placement) -> None:
    """Metrics, digests and the loss curve of a stage, small enough for git."""
    assert placement.results is not None
    paths = [placement.root / path for path in result_paths(plan.name, stage, plan.cells(stage)[0].stage)]
    cells = {cell_of(o.run.partition("/")[2]): _result(o.manifest) for o in outcomes}
    _write(paths[0], pretty(cells[""] if set(cells) == {""} else cells))
    for path in paths[1:]:
        _write(path, "".join(_curve(o, placement, header=i == 0) for i, o in enumerate(outcomes)))


def _result(manifest: Manifest) -> dict[str, object]:
    outputs: Mapping[str, Output] = manifest.outputs
    return {"metrics": manifest.metrics, "outputs": {name: output.digest for name, output in outputs.items()}}


def _curve(outcome: Outcome, placement: Placement, header: bool) -> str:
    log = Store(placement.artifacts).folder(outcome.run) / "log" / "steps.jsonl"
    cell = cell_of(outcome.run)
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    names = ("step", "loss", "grad_norm", "lr")
    head = ",".join((*names, *(["cell"] if cell else []))) + "\n"
    lines = (",".join((*(str(row[name]) for name in names), *([f'"{cell}"'] if cell else []))) + "\n" for row in rows)
    return (head if header else "") + "".join(lines)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".part")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)
