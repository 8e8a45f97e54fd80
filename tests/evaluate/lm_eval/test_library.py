"""Tasks of lm-eval's own registry: their data at one commit of the hub, and a clear word when it cannot be had."""

from typing import Any

import datasets
import huggingface_hub.constants
import lm_eval.tasks
import pytest
from lm_eval.tasks import TaskManager

from engine.evaluate.lm_eval.evaluate import prepared
from engine.evaluate.lm_eval.library import library_task
from engine.evaluate.lm_eval.spec import LibraryTask
from engine.spec.errors import ArtifactError
from tests.data.built import placement

REVISION = "a" * 40
WANTED = LibraryTask(kind="library", name="arc_easy", revision=REVISION, shots=1, limit=1)
DOCS = [{"question": f"{n}?", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "B"} for n in range(3)]


@pytest.fixture(autouse=True)
def _few_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry with the folder of ARC alone: all of it takes seconds to read."""
    folder = str(next(path for path in lm_eval.tasks.__path__)) + "/arc"

    def small() -> TaskManager:
        return TaskManager(include_defaults=False, include_path=folder)

    monkeypatch.setattr("engine.evaluate.lm_eval.library.TaskManager", small)


def test_the_data_are_asked_for_at_the_commit_and_online(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    asked: list[Any] = []

    def load_dataset(**wanted: Any) -> Any:
        asked.append((wanted, huggingface_hub.constants.HF_HUB_OFFLINE))
        return {split: datasets.Dataset.from_list(DOCS) for split in ("train", "validation", "test")}

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    ready = prepared(WANTED, placement(tmp_path))
    assert asked == [({"path": "allenai/ai2_arc", "name": "ARC-Easy", "revision": REVISION}, False)]
    assert huggingface_hub.constants.HF_HUB_OFFLINE is True
    assert (ready.name, ready.limit) == ("arc_easy", 1)
    assert ready.origin["data"] == f"allenai/ai2_arc@{REVISION}"
    assert ready.origin == prepared(WANTED, placement(tmp_path)).origin
    assert ready.task.config.num_fewshot == 1


def test_data_that_cannot_be_had_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(**_: Any) -> Any:
        raise ConnectionError("no route to the hub")

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    with pytest.raises(ArtifactError, match=r"arc_easy at a+ cannot be had from the hub .no route"):
        library_task(WANTED)


def test_an_unknown_task_is_told() -> None:
    with pytest.raises(ArtifactError, match="lm-eval has no task 'arc_eazy'"):
        library_task(WANTED.replace(name="arc_eazy"))
