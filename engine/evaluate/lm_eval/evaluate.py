"""The stage: each task by itself through lm-eval's own evaluator, and results bound to all that they depend on.

A task is evaluated alone, after the seeds are set anew: its result does not depend on which tasks stand beside it.
"""

import importlib.metadata
import json
import logging
import random  # noqa: TID251 (lm-eval's own draws are seeded)
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from types import FunctionType
from typing import Any, assert_never, final

import lm_eval.evaluator
import numpy as np
import torch
from lm_eval.api.task import ConfigurableTask, Task
from pydantic import JsonValue

from engine.artifacts.disk import write_whole
from engine.artifacts.draft import Draft
from engine.artifacts.environment import effective
from engine.artifacts.observation import OBSERVED
from engine.artifacts.placement import Placement
from engine.artifacts.read import Inputs, read_tensors
from engine.data.tokenizer import load_tokenizer
from engine.evaluate.lm_eval.library import library_task
from engine.evaluate.lm_eval.model import DecoderLM
from engine.evaluate.lm_eval.offline import configuration, items_of, shot_count, template
from engine.evaluate.lm_eval.samples import SCHEMA, batch, item_digest, plain_arguments, rows
from engine.evaluate.lm_eval.sandbox import walls
from engine.evaluate.lm_eval.spec import (
    HumanEval,
    LibraryTask,
    LmEvalPlan,
    OfflineTask,
    PublishedTask,
    Seeds,
)
from engine.evaluate.lm_eval.spec import Task as TaskSpec
from engine.evaluate.lm_eval.special import special_texts
from engine.kernels import record
from engine.models.build import build, load_weights
from engine.spec.canonical import digest, plain, pretty
from engine.spec.errors import ArtifactError


@final
@dataclass(frozen=True, slots=True)
class Ready:
    """A task of lm-eval's, how many items of it are scored, and what it came from."""

    name: str
    task: Task
    limit: int | None
    origin: dict[str, JsonValue]


def evaluate_stage(stage: LmEvalPlan, inputs: Inputs, out: Draft, placement: Placement) -> dict[str, JsonValue]:
    """Writes `results` and `samples`; gives the metrics by task."""
    with quiet():
        tasks = runnable(stage.tasks)
        sandbox = walls_for(tasks)
        ready = [prepared(task, placement) for task in tasks]
        checkpoint, tokenizer = inputs.one(stage.checkpoint), inputs.one(stage.tokenizer)
        lm = language_model(stage, inputs)
        found: dict[str, JsonValue] = {}
        record.forget()
        with out.table("samples", SCHEMA) as table:
            for task in ready:
                result, logged = evaluated(task, lm, stage)
                found[task.name] = {**task.origin, **result}
                table.write(batch(rows(task.name, logged)))
    record.check_declared(stage.kernels)
    out.close("samples")
    whole: dict[str, JsonValue] = {
        "lm_eval": version(),
        "checkpoint": checkpoint.digest,
        "tokenizer": tokenizer.digest,
        "context_tokens": stage.context_tokens,
        "seeds": plain(stage.seeds),
        "bootstrap": stage.bootstrap,
        "tasks": found,
    }
    out.json("results", "results.json", whole)
    out.close("results")
    write_whole(out.folder / OBSERVED, pretty(observed(sandbox)))
    return {"tasks": {name: value["metrics"] for name, value in found.items() if isinstance(value, dict)}}


def runnable(tasks: tuple[TaskSpec, ...]) -> list[OfflineTask | LibraryTask]:
    """The tasks; ArtifactError, before anything is computed, for those that cannot be run here."""
    missing = [task for task in tasks if isinstance(task, PublishedTask)]
    if missing:
        told = "; ".join(f"{task.name} ({task.origin}, revision {task.revision}): {task.missing}" for task in missing)
        raise ArtifactError(
            f"not run here, since no source gives what they need. {told}. Name the file of each with its sha256 in an "
            "offline task, or its hub revision in a library task, or leave it out"
        )
    return [task for task in tasks if not isinstance(task, PublishedTask)]


def walls_for(tasks: Iterable[OfflineTask | LibraryTask]) -> list[str]:
    """What stands round generated code on this machine, nothing where none is run; ArtifactError if not enough."""
    for task in tasks:
        match task:
            case OfflineTask(set=HumanEval()):
                return walls()
            case _:
                continue
    return []


def observed(sandbox: list[str]) -> dict[str, JsonValue]:
    """What computed the results, for the observation: facts of the machine, which must not move their digests."""
    return {"kernels": plain(record.record()), "numerics": dict(effective()), "sandbox": list(sandbox)}


def prepared(task: OfflineTask | LibraryTask, placement: Placement) -> Ready:
    """The task with its data."""
    match task:
        case OfflineTask():
            items = items_of(task, placement)
            made = ConfigurableTask(config=configuration(task, items))
            origin: dict[str, JsonValue] = {
                "data": task.data.sha256,
                "items": digest([item_digest(item) for item in items.scored]),
                "shots": shot_count(task),
                "shot_items": digest([item_digest(item) for item in items.shots]),
                "template": digest(described(template(task.set))),
            }
            return Ready(task.name, made, None, origin)
        case LibraryTask():
            pinned = library_task(task)
            made, source = pinned.task, pinned.source
            given = ("dataset_kwargs", "custom_dataset")
            settings = {name: value for name, value in made.dump_config().items() if name not in given}
            origin = {
                "data": f"{source.path}@{source.revision}",
                "part": source.name,
                "arguments": described(source.arguments),
                "items": digest([item_digest(item) for _, item in made.doc_iterator(limit=task.limit)]),
                "shots": task.shots,
                "template": digest(described(settings)),
            }
            return Ready(task.name, made, task.limit, origin)
        case _:
            assert_never(task)


def described(settings: Mapping[str, Any]) -> JsonValue:
    """A configuration as plain data; a function stands by its name, its text being in the code digest or in lm-eval."""
    found: JsonValue = json.loads(json.dumps(settings, default=_name_of, sort_keys=True))
    return found


def _name_of(value: object) -> str:
    match value:
        case partial(func=inner):
            return _name_of(inner)
        case FunctionType():
            return f"{value.__module__}.{value.__qualname__}"
        case _:
            return type(value).__qualname__


def language_model(stage: LmEvalPlan, inputs: Inputs) -> DecoderLM:
    """The checkpoint's model in fp32 with its tokenizer."""
    checkpoint = inputs.one(stage.checkpoint)
    model = build(stage.model, stage.kernels)
    load_weights(model, read_tensors(checkpoint.folder, "model"), f"{checkpoint.run}@{checkpoint.output}")
    folder = inputs.one(stage.tokenizer).folder
    special = special_texts(folder)
    return DecoderLM(model.eval(), load_tokenizer(folder), stage.context_tokens, stage.batch_rows, special, stage.lead)


def evaluated(ready: Ready, lm: DecoderLM, stage: LmEvalPlan) -> tuple[dict[str, JsonValue], list[Any]]:
    """What lm-eval's evaluator says of one task: metrics by name, and what it logged of every item."""
    seed(stage.seeds)
    ready.task.set_fewshot_seed(seed=stage.seeds.shots)
    before = lm.truncated
    with redirect_stdout(sys.stderr):  # where lm-eval prints
        found = lm_eval.evaluator.evaluate(
            lm=lm, task_dict={"tasks": {ready.name: ready.task}}, limit=ready.limit, bootstrap_iters=stage.bootstrap
        )
    logged = found["samples"][ready.name]
    asked = [[plain_arguments(one) for one in sample["arguments"]] for sample in logged]
    result: dict[str, JsonValue] = {
        "metrics": metrics(found["results"][ready.name]),
        "scored": len({sample["doc_id"] for sample in logged}),
        "truncated": lm.truncated - before,
        "prompts": digest(asked),
        "version": str(ready.task.VERSION),
    }
    return result, logged


def seed(seeds: Seeds) -> None:
    """As lm-eval's `simple_evaluate` does it."""
    random.seed(seeds.python)
    np.random.seed(seeds.numpy)  # the generator that lm-eval's tasks draw from
    torch.manual_seed(seeds.torch)


def metrics(found: Mapping[str, Any]) -> dict[str, JsonValue]:
    """lm-eval's `acc,none` as `acc`, `exact_match,strict-match` as it is; null for an error that is not defined."""
    kept: dict[str, JsonValue] = {}
    for name, value in sorted(found.items()):
        if "," in name:
            kept[name.removesuffix(",none")] = None if value == "N/A" else float(value)
    return kept


def version() -> str:
    """Of the library."""
    return importlib.metadata.version("lm_eval")


@contextmanager
def quiet() -> Iterator[None]:
    """lm-eval's advice on how tasks should be written is not for the reader of a run."""
    logger = logging.getLogger("lm_eval")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
