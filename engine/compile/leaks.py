"""Rules of leaks: indexes that can be compared, and evaluation sets that the training text was held against."""

from collections.abc import Iterator
from typing import assert_never

from engine.compile.origins import behind, sources
from engine.compile.resolve import Runs, named_runs
from engine.data.dedup.spec import Decontaminate, MinHash, SharedBand, SharedNgram
from engine.data.sources.archive import pattern_of
from engine.data.sources.spec import HubSource, RawFile, Source
from engine.evaluate.lm_eval.spec import LibraryTask, LmEval, OfflineTask, PublishedTask, Task

Problems = Iterator[tuple[str, str]]


def band_problems(stage: Decontaminate, above: Runs) -> Problems:
    """(path, message): bands are compared by place, so they must be made in one way, and of all the documents."""
    for place, test in enumerate(stage.tests):
        if isinstance(test, SharedBand):
            yield from _settings(test, f"tests.{place}.bands", above)


def _settings(test: SharedBand, path: str, above: Runs) -> Problems:
    found = [above[run] for ref in test.bands for run in named_runs(ref.parts, above)]
    made = [stage for stage in found if isinstance(stage, MinHash)]
    alike = {stage.replace(documents=made[0].documents).model_dump_json() for stage in made}
    if len(alike) > 1:
        yield path, "the indexes differ in more than their documents, and bands are compared by place; make them alike"


def task_problems(stage: LmEval, above: Runs) -> Problems:
    """(path, message): where training text was held against n-grams, it was against those of every task too."""
    held = (
        ref
        for found in behind(stage.checkpoint, above)
        if isinstance(found, Decontaminate) and any(isinstance(test, SharedNgram) for test in found.tests)
        for ref in found.against
    )
    against = tuple(dict.fromkeys(held))
    protected = [source for ref in against for source in sources(ref, above)]
    for place, task in enumerate(stage.tasks):
        if against and not _is_protected(task, protected):
            names = ", ".join(against)
            yield (
                f"tasks.{place}",
                f"the training text was held against the n-grams of {names}, which do not hold the task {task.name!r};"
                f" {_missing(task)} to the sources of an ingest stage in `against`, or leave the task out",
            )


def _is_protected(task: Task, protected: list[Source]) -> bool:
    match task:
        case OfflineTask(data=data):
            return any(_holds(source, data) for source in protected)
        case LibraryTask(revision=revision):
            return any(isinstance(source, HubSource) and source.revision == revision for source in protected)
        case PublishedTask():
            return True  # its data are not at hand, and no run will score it
        case _:
            assert_never(task)


def _holds(source: Source, data: RawFile) -> bool:
    """Whether a source reads a file, or every member of it that a task reads."""
    patterns = [pattern_of(text) for text in source.members]
    members = all(any(pattern.fullmatch(name) for pattern in patterns) for name in data.members)
    return source.sha256 == data.sha256 and bool(source.members) == bool(data.members) and members


def _missing(task: Task) -> str:
    match task:
        case OfflineTask(data=data):
            members = f" and members [{', '.join(data.members)}]" if data.members else ""
            return f"add its file, with sha256 {data.sha256}{members},"
        case LibraryTask(revision=revision):
            return f"add its data set, {{kind: hf, revision: {revision}}},"
        case PublishedTask():
            raise AssertionError("a published task has no data")
        case _:
            assert_never(task)
