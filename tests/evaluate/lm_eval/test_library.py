"""Tasks of lm-eval's own registry: their data at one commit of the hub, and a clear word when it cannot be had."""

from pathlib import Path
from typing import Any

import datasets
import huggingface_hub.constants
import lm_eval.tasks
import pytest
from lm_eval.tasks import TaskManager

from engine.evaluate.lm_eval.evaluate import prepared
from engine.evaluate.lm_eval.library import Source, library_task, source_of
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
    assert (ready.origin["part"], ready.origin["arguments"]) == ("ARC-Easy", {})
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


FILE = {"dataset_path": "owner/data", "dataset_name": "part"}


def test_what_a_task_asks_of_its_dataset_is_kept_and_told() -> None:
    written = FILE | {"dataset_kwargs": {"data_dir": "en", "trust_remote_code": True, "revision": REVISION}}
    assert source_of(WANTED, written) == Source("owner/data", "part", REVISION, {"data_dir": "en"})


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"class": "!function task.SQuAD2"}, "it is a class"),
        ({"custom_dataset": "!function utils.make"}, "a function of its own"),
        ({"dataset_path": "json", "dataset_kwargs": {"data_files": "x.json"}}, "names files"),
        ({"dataset_kwargs": {"data_files": {"test": "https://x.example/y"}}}, "names files"),
        ({"dataset_path": "/tmp"}, "names files"),
        ({"dataset_path": None}, "names files"),
        ({"dataset_kwargs": {"revision": "main"}}, "another revision, main"),
    ],
)
def test_a_task_that_its_commit_does_not_pin_is_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ArtifactError, match=f"arc_easy at a+ is not taken: .*{why}.*would not pin"):
        source_of(WANTED, FILE | changes)


SECRET = "import datasets\ndef more(docs):\n    return datasets.load_dataset('owner/other', split='test')\n"


def test_a_task_that_loads_more_than_its_dataset_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "utils.py").write_text(SECRET)
    fields = {
        "task": "two",
        "test_split": "test",
        "output_type": "generate_until",
        "process_docs": "!function utils.more",
    }
    text = "".join(f"{name}: {value}\n" for name, value in (fields | FILE).items())
    (tmp_path / "two.yaml").write_text(f"{text}doc_to_text: question\ndoc_to_target: answerKey\n")
    manager = TaskManager(include_defaults=False, include_path=str(tmp_path))
    monkeypatch.setattr("engine.evaluate.lm_eval.library.TaskManager", lambda: manager)

    def load_dataset(path: str, **_: Any) -> Any:
        if datasets.config.HF_HUB_OFFLINE:
            raise datasets.exceptions.DatasetNotFoundError(f"{path} is out of reach")
        return {"test": datasets.Dataset.from_list(DOCS)}

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    with pytest.raises(ArtifactError, match=r"not taken: it loads more than its dataset .owner/other is out of reach"):
        library_task(WANTED.replace(name="two"))
