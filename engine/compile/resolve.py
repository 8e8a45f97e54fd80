"""References to runs: that they name an earlier stage, an output it has, and one of the right type."""

from collections.abc import Iterator, Mapping

from engine.experiment import Lowered, Stage
from engine.spec.errors import Problem
from engine.spec.nearest import did_you_mean
from engine.spec.ref import Ref, RefParts, is_named
from engine.spec.refs import references
from engine.train.spec import Train

Runs = Mapping[str, Stage | Lowered]

OUTPUT_TYPES = {
    "documents": "documents",
    "train": "documents",
    "heldout": "documents",
    "dropped": "dropped documents",
    "only": "compared drops",
    "model": "a tokenizer",
    "weights": "a checkpoint",
    "tokenizer": "a tokenizer",
    "rows": "rows",
    "bands": "bands",
    "planted": "planted duplicates",
    "provenance": "provenance",
    "choices": "forms of rows",
    "log": "a step log",
    "scores": "scores",
    "results": "results",
    "samples": "samples",
    "verdicts": "verdicts",
}
FIELD_TYPES = {
    "documents": "documents",
    "tokenizer": "a tokenizer",
    "rows": "rows",
    "bands": "bands",
    "against": "documents",
    "dropped": "dropped documents",
    "unless": "dropped documents",
    "provenance": "provenance",
    "checkpoint": "a checkpoint",
}


def stage_of(run: str) -> str:
    """The stage of a run: `t[seed=1]` belongs to `t`."""
    return run.partition("[")[0]


def cell_of(run: str) -> str:
    """The cell of a run, empty for a stage without a matrix."""
    return run.partition("[")[2].removesuffix("]")


def named_runs(parts: RefParts, runs: Runs) -> tuple[str, ...]:
    """The runs that a reference names: one, or all cells of a matrix, or those of some."""
    if "*" in parts.cell:
        return tuple(run for run in runs if stage_of(run) == parts.stage and is_named(cell_of(run), parts.cell))
    run = f"{parts.stage}[{parts.cell}]" if parts.cell else parts.stage
    return (run,) if run in runs else ()


def named_outputs(parts: RefParts, stage: Stage | Lowered) -> tuple[str, ...]:
    """The outputs that a reference names: one, or every checkpoint for `*`."""
    if parts.output == "*":
        return tuple(name for name in stage.outputs() if name.startswith("step-"))
    return (parts.output,) if parts.output in stage.outputs() else ()


def in_order(stages: Mapping[str, Stage]) -> tuple[str, ...]:
    """The runs so that each stands below those it reads, otherwise as written; a circle keeps its written order."""
    done: dict[str, None] = {}
    waiting: set[str] = set()

    def visit(run: str) -> None:
        if run in done or run in waiting:
            return
        waiting.add(run)
        for _, ref in references(stages[run]):
            for need in named_runs(ref.parts, stages):
                visit(need)
        waiting.remove(run)
        done[run] = None

    for run in stages:
        visit(run)
    return tuple(done)


def settled(ref: Ref, runs: Runs) -> Ref:
    """The reference with `final` replaced by the step that it stands for."""
    parts = ref.parts
    if parts.output != "final":
        return ref
    steps = {stage.steps for run in named_runs(parts, runs) if isinstance(stage := runs[run], Train)}
    return Ref(f"{ref.partition('@')[0]}@step-{steps.pop()}") if len(steps) == 1 else ref


def reference_problems(run: str, stage: Stage | Lowered, runs: Runs) -> Iterator[Problem]:
    """What is wrong with the references of one stage, given the stages that can run before it."""
    for path, ref in references(stage):
        field = next(name for name in reversed(path) if not name.isdigit())  # of a list: the field that holds it
        message = _problem(field, settled(ref, runs), runs)
        if message:
            yield Problem(message, ".".join(("stages", run, *path)))


def _problem(field: str, ref: Ref, runs: Runs) -> str:
    parts = ref.parts
    names = named_runs(parts, runs)
    if not names:
        known = sorted({stage_of(run) for run in runs})
        return (
            f"{ref!s} names no stage that can run before it; there are {_list(known)}{did_you_mean(parts.stage, known)}"
        )
    for name in names:
        outputs = named_outputs(parts, runs[name])
        if not outputs:
            return _no_output(ref, name, runs[name])
        found = "a checkpoint" if outputs[0].startswith("step-") else OUTPUT_TYPES[outputs[0]]
        wanted = FIELD_TYPES.get(field, found)
        if found != wanted:
            return f"{ref!s} is {found}, but {field} wants {wanted}"
    return ""


def _no_output(ref: Ref, run: str, stage: Stage | Lowered) -> str:
    output = ref.parts.output
    if isinstance(stage, Train) and (output.startswith("step-") or output == "final"):
        kept = ", ".join(str(step) for step in stage.kept_steps())
        return f"{ref!s}: no checkpoint of that step is kept; {run} keeps {kept} (checkpoints.every_steps)"
    return f"{ref!s}: {run} has no such output; it has {_list(stage.outputs())}{did_you_mean(output, stage.outputs())}"


def _list(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names) or "none"
