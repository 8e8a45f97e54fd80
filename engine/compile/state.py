"""Where an experiment that is not run here stands: ready or not and why, and how long what can run would take."""

from collections.abc import Iterable, Iterator

from engine.compile.estimate.device import device_of
from engine.compile.plan import Plan, PlannedRun
from engine.compile.pretrained import released_layouts
from engine.compile.resolve import stage_of
from engine.data.sources.spec import NamedFiles, RawFile, Source
from engine.data.spec import HuggingFaceTokenizer, Ingest, Tokenizer
from engine.evaluate.lm_eval.spec import ALL_DATA, LmEval, PublishedTask
from engine.models.pretrained.spec import HubName, Import

HOUR = 3600  # seconds
GIB = 2**30


def state_line(plan: Plan) -> str:
    """`ready, not run: N device-hours`, or `not ready: why; N device-hours`; of what, and what they leave out."""
    reasons, lacking = not_ready(plan), refusals(plan)
    able = [run for run in plan.runs.values() if stage_of(run.name) not in lacking]
    line = f"not ready: {', '.join(reasons)}; {_hours(able)}" if reasons else f"ready, not run: {_hours(able)}"
    if not lacking:
        return line
    unable = [run for run in plan.runs.values() if stage_of(run.name) in lacking]
    return f"{line}; {_hours(unable)} in {', '.join(lacking)}, which lacks {', '.join(wanting(plan))}"


def _hours(runs: list[PlannedRun]) -> str:
    """Of the runs whose tokens are known before anything runs, what they are hours of, and what they leave out."""
    counted = [run for run in runs if run.estimate.flops]
    left_out = unknown(runs)
    without = f" without {', '.join(left_out)}" if left_out else ""
    cores = core_hours(runs)
    data = f"{cores:,.0f} core-hours of data stages" if cores else ""
    if not counted:
        return f"{data or 'device-hours not known'}{without}"
    devices = ", ".join(dict.fromkeys(run.estimate.device for run in counted))
    found = f"{device_hours(counted):,.1f} device-hours ({devices}){f', {data}' if data else ''}"
    return f"{'at least ' if left_out else ''}{found}{without}"


def core_hours(runs: Iterable[PlannedRun]) -> float:
    """Of the data stages whose sources state their sizes."""
    return sum(run.estimate.seconds for run in runs if run.estimate.documents) / HOUR


def device_hours(runs: Iterable[PlannedRun]) -> float:
    """Of all runs whose tokens are known before anything runs."""
    return sum(run.estimate.flops / run.estimate.flops_per_second for run in runs) / HOUR


def unknown(runs: Iterable[PlannedRun]) -> tuple[str, ...]:
    """What only the data will tell, each once."""
    return tuple(dict.fromkeys(text for run in runs for text in run.estimate.unknown))


def not_ready(plan: Plan) -> tuple[str, ...]:
    """Why no weights can be imported or no documents read, each once; empty when all can."""
    return tuple(dict.fromkeys(reason for run in plan.runs.values() for reason in _reasons(run)))


def _reasons(run: PlannedRun) -> Iterator[str]:
    yield from _of_import(run)
    match run.stage:
        case Ingest(sources=files):
            yield from _unpinned(files)
        case Tokenizer(method=HuggingFaceTokenizer(file=file)):
            yield from _unpinned((file,))
        case _:
            pass


def _unpinned(files: Iterable[RawFile | Source]) -> Iterator[str]:
    named = (file for file in files if isinstance(file, NamedFiles))
    yield from (f"no file of {file.repository} is pinned by sha256" for file in named)


def _of_import(run: PlannedRun) -> Iterator[str]:
    if not isinstance(run.stage, Import):
        return
    if isinstance(run.stage.source, HubName):
        yield f"no file of {run.stage.source.repository} is pinned by sha256"
    if not released_layouts(run.stage):
        yield f"no layout in which such a {run.stage.model.kind} is published has a reader"


def refusals(plan: Plan) -> tuple[str, ...]:
    """The stages that refuse by their spec alone: benchmarks among whose tasks is one without data."""
    return tuple(dict.fromkeys(stage_of(run.name) for run in plan.runs.values() if _published(run)))


def wanting(plan: Plan) -> tuple[str, ...]:
    """The tasks without data, each once, with what is missing where that is not all of it."""
    tasks = dict.fromkeys((task.name, task.missing) for run in plan.runs.values() for task in _published(run))
    return tuple(name if missing == ALL_DATA else f"{name} ({missing})" for name, missing in tasks)


def _published(run: PlannedRun) -> list[PublishedTask]:
    tasks = run.stage.tasks if isinstance(run.stage, LmEval) else ()
    return [task for task in tasks if isinstance(task, PublishedTask)]


def scaled(plan: Plan) -> tuple[str, ...]:
    """The counts of 1-bit models as papers state them: without alpha and beta."""
    counts = {(run.estimate.parameters, run.estimate.scales) for run in plan.runs.values() if run.estimate.scales}
    return tuple(
        f"{parameters - scales:,} parameters, and {scales:,} scales of 1-bit matrices"
        for parameters, scales in sorted(counts)
    )


def most_memory(plan: Plan) -> tuple[str, ...]:
    """What fills the memory of the run that needs most, largest first."""
    run = max(plan.runs.values(), key=lambda run: run.estimate.memory.total_bytes())
    parts = sorted(((count, name) for name, count in run.estimate.memory if count), reverse=True)
    told = ", ".join(f"{name} {count / GIB:,.1f} GiB" for count, name in parts)
    return (f"most memory, {run.name}: {told}",) if parts else ()


def too_large(plan: Plan) -> tuple[str, ...]:
    """Of stages that need more memory than the device of their estimate has, how many of these they would fill."""
    device = device_of(plan.experiment.scale)
    most = device.memory_bytes
    if most is None:
        return ()
    needs = {stage_of(run.name): -(-run.estimate.memory.total_bytes() // most) for run in plan.runs.values()}
    return tuple(
        f"{stage} fills {devices} x {device.name}; the engine holds a model on one device, or on the host"
        for stage, devices in needs.items()
        if devices > 1
    )
