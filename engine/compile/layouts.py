"""Layouts of training stages: a field of the stage under `repeat`; under `regroup` advice, which no recipe holds."""

from collections.abc import Iterator, Mapping

from engine.compile.resolve import stage_of
from engine.experiment import Experiment, Lowered
from engine.spec.errors import Problem
from engine.spec.layout import Layout
from engine.train.spec import Train, TrainPlan


def layout_of(run: str, stage: Lowered, layouts: Mapping[str, Layout]) -> Layout | None:
    """How a training run is laid out unless its command says otherwise; None for other stages."""
    return (stage.layout or layouts.get(stage_of(run)) or Layout()) if isinstance(stage, TrainPlan) else None


def layout_problems(experiment: Experiment) -> Iterator[Problem]:
    """Layouts and threads that stand where the level does not look for them, or name no training stage."""
    stages = {stage_of(run): stage for run, stage in experiment.stages.items()}
    trains = [name for name, stage in stages.items() if isinstance(stage, Train)]
    for name in experiment.layouts:
        if name not in trains:
            text = f"there is no training stage {name!r}; there are {', '.join(trains) or 'none'}"
            yield Problem(text, f"layouts.{name}")
    match experiment.determinism:
        case "repeat":
            for name in experiment.layouts:
                text = f"under `repeat` a layout changes bits; write it as stages.{name}.layout"
                yield Problem(text, f"layouts.{name}")
        case "regroup":
            if "threads" in experiment.numerics.model_fields_set:
                text = "under `regroup` a rank has one thread: products for the gradients of weights round otherwise"
                text += " with two (measured, MKL); leave threads out, and use more ranks"
                yield Problem(text, "numerics.threads")
            for run, stage in experiment.stages.items():
                if isinstance(stage, Train) and stage.layout is not None:
                    text = "under `regroup` no layout can change a bit, so a stage has none; write it as"
                    yield Problem(f"{text} layouts.{stage_of(run)}, or give it to the run", f"stages.{run}.layout")
