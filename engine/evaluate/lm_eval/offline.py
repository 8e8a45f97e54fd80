"""A task over a file: its items, its shots, and lm-eval's configuration round them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never, final

import datasets

from engine.artifacts.placement import Placement
from engine.data.sources.fetch import file_name
from engine.data.sources.spec import RawFile
from engine.evaluate.lm_eval.files import text_of
from engine.evaluate.lm_eval.sets import arc, boolq, gsm8k, hellaswag, humaneval, lambada, mmlu, piqa, truthfulqa
from engine.evaluate.lm_eval.sets.lines import Item
from engine.evaluate.lm_eval.spec import (
    Arc,
    Boolq,
    FirstShots,
    Gsm8k,
    HeldShots,
    Hellaswag,
    HumanEval,
    ItemSet,
    Lambada,
    Mmlu,
    NoShots,
    OfflineTask,
    Piqa,
    TruthfulQa,
)
from engine.spec.errors import ArtifactError
from engine.spec.philox import generator


@final
@dataclass(frozen=True, slots=True)
class Items:
    """What is scored, and what stands before it as an example."""

    scored: tuple[Item, ...]
    shots: tuple[Item, ...]


def items_of(task: OfflineTask, placement: Placement) -> Items:
    """The items of a task's file in their order, those that are shots taken out, up to the limit."""
    every = read(task.set, task.data, placement)
    match task.shots:
        case NoShots():
            shots, left = [], every
        case FirstShots(count=count, data=data):
            shots, left = read(task.set, data, placement)[:count], every
        case HeldShots(count=count, seed=seed):
            drawn = generator(seed, "evaluate", "shots", task.name).permutation(len(every))[:count].tolist()
            shots, left = [every[place] for place in drawn], [x for n, x in enumerate(every) if n not in set(drawn)]
        case _:
            assert_never(task.shots)
    if not left or len(shots) < shot_count(task):
        raise ArtifactError(f"{task.name}: {len(every)} items do not give {shot_count(task)} shots and one to score")
    return Items(tuple(left[: task.limit]), tuple(shots))


def shot_count(task: OfflineTask) -> int:
    """How many examples stand before an item."""
    match task.shots:
        case NoShots():
            return 0
        case FirstShots() | HeldShots():
            return task.shots.count
        case _:
            assert_never(task.shots)


def read(form: ItemSet, source: RawFile, placement: Placement) -> list[Item]:
    """The items of a file."""
    text, where = text_of(source, placement), file_name(source)
    match form:
        case Arc():
            return arc.items(text, where)
        case Piqa():
            return piqa.items(text, where)
        case Boolq():
            return boolq.items(text, where)
        case Hellaswag():
            return hellaswag.items(text, where)
        case Mmlu():
            return mmlu.items(text, where)
        case TruthfulQa():
            return truthfulqa.items(form, text, where)
        case Lambada():
            return lambada.items(text, where)
        case Gsm8k():
            return gsm8k.items(text, where)
        case HumanEval():
            return humaneval.items(text, where)
        case _:
            assert_never(form)


def template(form: ItemSet) -> Mapping[str, Any]:
    """The part of the configuration that does not depend on the file: prompt, answers, metrics."""
    match form:
        case Arc():
            return arc.CONFIG
        case Piqa():
            return piqa.CONFIG
        case Boolq():
            return boolq.CONFIG
        case Hellaswag():
            return hellaswag.CONFIG
        case Mmlu():
            return mmlu.config(form)
        case TruthfulQa():
            return truthfulqa.config(form)
        case Lambada():
            return lambada.CONFIG
        case Gsm8k():
            return gsm8k.config(form)
        case HumanEval():
            return humaneval.config(form)
        case _:
            assert_never(form)


def configuration(task: OfflineTask, items: Items) -> dict[str, Any]:
    """What `lm_eval.simple_evaluate(tasks=[...])` takes: the template with the items as a dataset in memory."""

    def in_memory(**_: object) -> dict[str, datasets.Dataset]:
        return {"test": datasets.Dataset.from_list([dict(item) for item in items.scored])}

    return {
        **template(task.set),
        "task": task.name,
        "custom_dataset": in_memory,
        "test_split": "test",
        "num_fewshot": len(items.shots),
        "fewshot_config": {"sampler": "first_n", "samples": [dict(item) for item in items.shots]},
    }
