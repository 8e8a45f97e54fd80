"""A task of lm-eval's own registry, its dataset from the Hugging Face hub at one commit."""

from collections.abc import Iterator
from contextlib import contextmanager

import datasets
import huggingface_hub.constants
from lm_eval.api.task import Task
from lm_eval.tasks import TaskManager
from lm_eval.tasks._factory import TaskFactory  # `load` takes no changes to a registered task

from engine.evaluate.lm_eval.spec import LibraryTask
from engine.spec.errors import ArtifactError


def library_task(wanted: LibraryTask) -> Task:
    """The task with its data; ArtifactError when the registry has no such task, or the hub cannot be reached."""
    manager = TaskManager()
    if wanted.name not in manager.all_subtasks:
        raise ArtifactError(
            f"lm-eval has no task {wanted.name!r} (`lm-eval ls tasks` lists them; groups are not taken)"
        )
    changes = {"dataset_kwargs": {"revision": wanted.revision}, "num_fewshot": wanted.shots}
    with online():
        try:
            registry = manager.task_index
            task = TaskFactory().build(registry[wanted.name], overrides=changes, registry=registry)
        except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
            raise ArtifactError(
                f"the data of {wanted.name} at {wanted.revision} cannot be had from the hub ({error}); "
                "run where the network is, or write an offline task over a file"
            ) from error
    if task.config.unsafe_code:
        raise ArtifactError(f"{wanted.name} runs generated code in this very process; write an offline task instead")
    return task


@contextmanager
def online() -> Iterator[None]:
    """The hub may be asked, which the closed environment forbids otherwise."""
    before = huggingface_hub.constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    huggingface_hub.constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = False
    try:
        yield
    finally:
        huggingface_hub.constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before
