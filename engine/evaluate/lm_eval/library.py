"""A task of lm-eval's own registry, its dataset from the Hugging Face hub at one commit, and nothing else from there.

The dataset is loaded first, at the commit and with the arguments that the task's file has; then the task is made of it
with the hub out of reach. So a task that would load data by itself is refused, and what is recorded is what was loaded.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import datasets
import huggingface_hub.constants
from datasets.packaged_modules import _PACKAGED_DATASETS_MODULES as READERS  # of files, whose data no commit names
from lm_eval.api.task import Task
from lm_eval.tasks import TaskManager
from lm_eval.tasks._factory import TaskFactory  # `load` takes no changes to a registered task
from lm_eval.tasks._yaml_loader import load_yaml

from engine.evaluate.lm_eval.spec import LibraryTask
from engine.spec.errors import ArtifactError


@final
@dataclass(frozen=True, slots=True)
class Source:
    """What `datasets.load_dataset` is asked for."""

    path: str
    name: str | None
    revision: str
    arguments: Mapping[str, Any]


@final
@dataclass(frozen=True, slots=True)
class Pinned:
    """A task and where its data came from."""

    task: Task
    source: Source


def library_task(wanted: LibraryTask) -> Pinned:
    """The task with its data; ArtifactError when there is none of that name, no commit pins it, or no hub answers."""
    manager = TaskManager()
    if wanted.name not in manager.all_subtasks:
        raise ArtifactError(
            f"lm-eval has no task {wanted.name!r} (`lm-eval ls tasks` lists them; groups are not taken)"
        )
    entry = manager.task_index[wanted.name]
    written = load_yaml(entry.yaml_path, resolve_func=False) if entry.yaml_path else entry.cfg or {}
    source = source_of(wanted, written)
    found = loaded(wanted, source)

    def in_memory(**_: object) -> Mapping[str, datasets.Dataset]:
        return found

    changes = {"custom_dataset": in_memory, "dataset_kwargs": None, "num_fewshot": wanted.shots}
    with hub(reachable=False):
        try:
            task = TaskFactory().build(entry, overrides=changes, registry=manager.task_index)
        except (OSError, datasets.exceptions.DatasetsError) as error:
            raise unpinned(wanted, f"it loads more than its dataset ({error})") from error
    if task.config.unsafe_code:
        raise ArtifactError(f"{wanted.name} runs generated code in this very process; write an offline task instead")
    return Pinned(task, source)


def source_of(wanted: LibraryTask, written: Mapping[str, Any]) -> Source:
    """The dataset that a task's file names, at the commit of the spec; ArtifactError where a commit is not all."""
    path, arguments = written.get("dataset_path"), dict(written.get("dataset_kwargs") or {})
    if "class" in written:
        raise unpinned(wanted, "it is a class, which loads its data by itself")
    if "custom_dataset" in written:
        raise unpinned(wanted, "a function of its own makes its data")
    if not isinstance(path, str) or path in READERS or Path(path).exists() or "://" in repr(arguments):
        raise unpinned(wanted, f"its dataset_path {path!r} with {arguments} names files, not a dataset of the hub")
    if arguments.pop("revision", wanted.revision) != wanted.revision:
        raise unpinned(wanted, f"its file names another revision, {written['dataset_kwargs']['revision']}")
    arguments.pop("trust_remote_code", None)  # lm-eval drops it too: datasets 4 runs no code of a dataset
    return Source(path, written.get("dataset_name"), wanted.revision, arguments)


def unpinned(wanted: LibraryTask, why: str) -> ArtifactError:
    """A task whose data the commit of its spec does not settle."""
    return ArtifactError(
        f"{wanted.name} at {wanted.revision} is not taken: {why}, so the commit would not pin what is scored; "
        "write an offline task over a file with its sha256"
    )


def loaded(wanted: LibraryTask, source: Source) -> Mapping[str, datasets.Dataset]:
    """The splits of the dataset; ArtifactError when they cannot be had."""
    with hub(reachable=True):
        try:
            found: Mapping[str, datasets.Dataset] = datasets.load_dataset(
                path=source.path, name=source.name, revision=source.revision, **source.arguments
            )
        except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
            raise ArtifactError(
                f"the data of {wanted.name} at {wanted.revision} cannot be had from the hub ({error}); "
                "run where the network is, or write an offline task over a file"
            ) from error
    return found


@contextmanager
def hub(*, reachable: bool) -> Iterator[None]:
    """Whether the hub may be asked; the closed environment forbids it otherwise."""
    before = huggingface_hub.constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    huggingface_hub.constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = not reachable
    try:
        yield
    finally:
        huggingface_hub.constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before
