"""From raw bytes to documents: members of sources are read in parallel, and put down in one fixed order.

The order is: sources as the spec has them, members by name, units as they stand. Workers write what they read into
scratch files, so memory holds one batch of documents whatever the corpus, and any number of workers gives equal bytes.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, assert_never, final

import pyarrow as pa
from pydantic import JsonValue

from engine.artifacts.draft import Draft
from engine.artifacts.placement import Placement
from engine.artifacts.progress import progress
from engine.data.documents import (
    COLUMNS,
    SCHEMA,
    Batches,
    Document,
    DocumentTable,
    by_domain,
    document_id,
    documents_of,
    refuse_empty,
)
from engine.data.pool import in_order
from engine.data.readers.jsonl import read_jsonl
from engine.data.readers.mediawiki import read_mediawiki
from engine.data.readers.parquet import read_parquet
from engine.data.readers.python import read_python
from engine.data.readers.questions_yaml import read_questions
from engine.data.readers.spec import (
    Html,
    JsonLines,
    Latex,
    ManualPage,
    MediaWiki,
    ParquetTable,
    PlainText,
    PythonTree,
    QuestionsYaml,
    Warc,
    Wet,
)
from engine.data.readers.text import read_text
from engine.data.readers.unit import Skipped, Unit
from engine.data.scratch import scratch_folder
from engine.data.sources.archive import Member, contents, select
from engine.data.sources.fetch import file_name, resolve
from engine.data.sources.spec import Source
from engine.data.spec import Ingest
from engine.spec.errors import ArtifactError

TASK_BYTES = 4 << 20  # members are handed to a worker in runs of about this many bytes


@final
@dataclass(frozen=True, slots=True)
class Task:
    """Some members of one source, and the scratch file for their documents."""

    source: Source
    members: tuple[Member, ...]
    target: Path


def ingest(stage: Ingest, out: Draft, placement: Placement) -> dict[str, JsonValue]:
    """Writes `documents`; gives the counts, and how many units the readers passed over, by reason and domain."""
    skipped: dict[str, Counter[str]] = {}
    with scratch_folder(out) as folder:
        tasks = _tasks(stage.sources, placement, folder)
        outcomes = progress(
            in_order(read_task, zip(tasks, tasks, strict=True), placement), len(tasks), "parts", "ingest"
        )
        with DocumentTable(out, "documents") as table:
            for task, passed_over in outcomes:
                for document in _read_back(task.target):
                    table.add(document)
                for reason, count in passed_over.items():
                    skipped.setdefault(reason, Counter())[task.source.domain] += count
            refuse_empty(table.documents, "the sources hold none; look at `members` and `format`")
    return table.metrics() | {"skipped": {reason: by_domain(skipped[reason]) for reason in sorted(skipped)}}


def _tasks(sources: tuple[Source, ...], placement: Placement, folder: Path) -> list[Task]:
    """All that is to be read, in the order of the corpus. Every file is fetched and checked before any is read."""
    paths = [resolve(source, placement) for source in sources]
    tasks: list[Task] = []
    taken: dict[tuple[str, str, str], str] = {}
    for number, (source, path) in enumerate(zip(sources, paths, strict=True)):
        spool = folder / f"members-{number:04d}"
        spool.mkdir()
        members = _members(source, path, spool)
        for member in members:
            first = taken.setdefault((source.sha256, file_name(source), member.name), source.name)
            if first != source.name:
                raise ArtifactError(
                    f"sources {first} and {source.name} both read {file_name(source)}!{member.name}: its documents "
                    "would have the same ids; leave it out of one"
                )
        tasks += (Task(source, run, folder / f"{len(tasks) + n:08d}.arrow") for n, run in enumerate(_runs(members)))
    return tasks


def _members(source: Source, path: Path, spool: Path) -> tuple[Member, ...]:
    if source.members:
        return select(path, file_name(source), source.members, spool)
    return (Member("", path.stat().st_size, path, zipped=False),)


def _runs(members: tuple[Member, ...]) -> Iterator[tuple[Member, ...]]:
    """Neighbours together until they have TASK_BYTES."""
    held: list[Member] = []
    for member in members:
        held.append(member)
        if sum(one.bytes for one in held) >= TASK_BYTES or len(held) >= 256:
            yield tuple(held)
            held = []
    if held:
        yield tuple(held)


def read_task(task: Task) -> Counter[str]:
    """Writes the documents of a task into its scratch file; gives what was passed over, by reason."""
    skipped: Counter[str] = Counter()
    with pa.OSFile(str(task.target), "wb") as file, pa.ipc.new_stream(file, SCHEMA) as writer:
        rows = Batches(SCHEMA, writer.write_batch)
        for document in _documents(task, skipped):
            rows.add(tuple(getattr(document, name) for name in COLUMNS), len(document.text))
        rows.flush()
    return skipped


def _read_back(target: Path) -> Iterator[Document]:
    with pa.OSFile(str(target), "rb") as file, pa.ipc.open_stream(file) as batches:
        for batch in batches:
            yield from documents_of(batch)
    target.unlink()


def _documents(task: Task, skipped: Counter[str]) -> Iterator[Document]:
    """The documents of the members; a text that has no UTF-8 (a lone surrogate in JSON) is passed over."""
    file = file_name(task.source)
    for member, stream in contents(task.members, file):
        name = f"{file}!{member.name}" if member.name else file
        for unit in _units(stream, name, file, member.name, task.source):
            match unit:
                case Skipped():
                    skipped[unit.reason] += 1
                case Unit() if not _is_unicode(unit.text):
                    skipped["lone_surrogate"] += 1
                case Unit():
                    yield _document(task.source, unit, f"{name}#{unit.place}" if unit.place else name)
                case _:
                    assert_never(unit)


def _units(stream: IO[bytes], where: str, file: str, member: str, source: Source) -> Iterator[Unit | Skipped]:
    form = source.format
    match form:
        case MediaWiki():
            return read_mediawiki(stream, where)
        case JsonLines():
            return read_jsonl(stream, where, form)
        case ParquetTable():
            return read_parquet(stream, where, form)
        case PlainText():
            return read_text(stream, where, form)
        case PythonTree():
            return read_python(stream, where, file, member)
        case QuestionsYaml():
            return read_questions(stream, where, form)
        case Warc() | Wet() | Html() | Latex() | ManualPage():
            raise NotImplementedError
        case _:
            assert_never(form)


def _document(source: Source, unit: Unit, locator: str) -> Document:
    identity = document_id(source.sha256, locator)
    return Document(
        id=identity,
        source=source.name,
        domain=source.domain,
        group=unit.group or identity,
        locator=locator,
        licence=source.licence,
        text=unit.text,
    )


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
