"""From raw bytes to documents: members of sources are read in parallel, and put down in one fixed order.

The order is: sources as the spec has them, members by name, units as they stand. Workers write what they read into
scratch files, so memory holds one batch of documents whatever the corpus, and any number of workers gives equal bytes.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, assert_never, final

import pyarrow as pa
from pydantic import JsonValue

from engine.artifacts.draft import Draft
from engine.artifacts.placement import Placement
from engine.artifacts.progress import progress
from engine.data.distinct import DistinctIds
from engine.data.documents import (
    COLUMNS,
    SCHEMA,
    Batches,
    Document,
    DocumentTable,
    by_domain,
    document_id,
    refuse_empty,
)
from engine.data.pool import in_order
from engine.data.readers.jsonl import read_jsonl
from engine.data.readers.latex import read_latex
from engine.data.readers.mediawiki import read_mediawiki
from engine.data.readers.parquet import read_parquet
from engine.data.readers.python import read_python
from engine.data.readers.questions_yaml import read_questions
from engine.data.readers.spec import (
    Html,
    HubRows,
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
from engine.data.readers.unit import Faulty, Skipped, Unit
from engine.data.scratch import scratch_folder
from engine.data.sift import read_back
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
    """Writes `documents`; gives the counts, and how many units the readers passed over, by reason."""
    passed_over = _PassedOver()
    found: Counter[str] = Counter()
    with scratch_folder(out) as folder:
        ids = DistinctIds(folder)
        tasks = _tasks(stage.sources, placement, folder)
        done = in_order(read_task, zip(tasks, tasks, strict=True), placement)
        with closing(done), DocumentTable(out, "documents") as table:
            for task, counts in progress(done, len(tasks), "parts", "ingest"):
                for batch in read_back(task.target):
                    ids.add(batch.column("id").to_pylist(), stage.sources.index(task.source))
                    found[task.source.name] += batch.num_rows
                    table.write(batch)
                passed_over.add(task.source, counts)
            refuse_empty(table.documents, "the sources hold none; look at `members` and `format`")
            _refuse_empty_sources(stage, found, passed_over)
            _refuse_twice(stage, ids)
    return table.metrics() | {"of_sources": _of_sources(stage, found)} | passed_over.metrics()


@final
class _PassedOver:
    """How many units were passed over, by reason and domain, and by reason and source."""

    def __init__(self) -> None:
        self._domains: dict[str, Counter[str]] = {}
        self.sources: dict[str, Counter[str]] = {}

    def add(self, source: Source, counts: Counter[str]) -> None:
        for reason, count in counts.items():
            self._domains.setdefault(reason, Counter())[source.domain] += count
            self.sources.setdefault(reason, Counter())[source.name] += count

    def metrics(self) -> dict[str, JsonValue]:
        return {
            "skipped": {reason: by_domain(found) for reason, found in sorted(self._domains.items())},
            "skipped_of_sources": {reason: by_domain(found) for reason, found in sorted(self.sources.items())},
        }


def _of_sources(stage: Ingest, found: Counter[str]) -> dict[str, JsonValue]:
    """Documents of each source, beside the number that its publisher states."""
    stated = {source.name: source.stated.documents for source in stage.sources if source.stated is not None}
    plain: dict[str, JsonValue] = {"documents": by_domain(found)}
    return plain | ({"stated": dict(sorted(stated.items()))} if stated else {})


def _refuse_empty_sources(stage: Ingest, found: Counter[str], passed_over: _PassedOver) -> None:
    empty = [source.name for source in stage.sources if not found[source.name]]
    if empty:
        reasons = [
            f"{counts[name]} {reason} of {name}"
            for name in empty
            for reason, counts in sorted(passed_over.sources.items())
            if counts[name]
        ]
        raise ArtifactError(
            f"no documents in {', '.join(empty)}; passed over there: {', '.join(reasons) or 'nothing'}; look at "
            "`members` and `format`, or leave the source out"
        )


def _refuse_twice(stage: Ingest, ids: DistinctIds) -> None:
    twice = ids.twice()
    if twice is not None:
        name, *owners = twice
        sources = " and ".join(dict.fromkeys(stage.sources[owner].name for owner in owners))
        raise ArtifactError(
            f"two documents of {sources} have the id {name}: two units of one file with one place, for instance "
            "two pages of one title; leave one out"
        )


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
        for run in _runs(members):
            tasks.append(Task(source, run, folder / f"{len(tasks):08d}.arrow"))
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


def _documents(task: Task, skipped: Counter[str]) -> Iterator[Document]:
    """The documents of the members; a text that has no UTF-8 (a lone surrogate in JSON) is passed over."""
    file = file_name(task.source)
    for member, stream in contents(task.members, file):
        name = f"{file}!{member.name}" if member.name else file
        for unit in _whole_units(stream, name, file, member.name, task.source):
            match unit:
                case Skipped():
                    skipped[unit.reason] += 1
                case Faulty():
                    skipped[_counted(unit, task.source)] += 1
                case Unit() if not _is_unicode(unit.text):
                    skipped["lone_surrogate"] += 1
                case Unit():
                    yield _document(task.source, unit, f"{name}#{unit.place}" if unit.place else name)
                case _:
                    assert_never(unit)


def _counted(unit: Faulty, source: Source) -> str:
    """The reason, where the source says that faults are passed over."""
    match source.faults:
        case "skip":
            return unit.reason
        case "refuse":
            raise ArtifactError(unit.message)
        case _:
            assert_never(source.faults)


def _whole_units(
    stream: IO[bytes], where: str, file: str, member: str, source: Source
) -> Iterator[Unit | Skipped | Faulty]:
    """The units of a member; damage that ends it is one fault after the units before it."""
    try:
        yield from _units(stream, where, file, member, source)
    except ArtifactError as error:
        yield Faulty("damaged", str(error))


def _units(stream: IO[bytes], where: str, file: str, member: str, source: Source) -> Iterator[Unit | Skipped | Faulty]:
    form, most = source.format, source.most_bytes
    match form:
        case MediaWiki():
            return read_mediawiki(stream, where)
        case JsonLines():
            return read_jsonl(stream, where, form, most)
        case ParquetTable():
            return read_parquet(stream, where, form)
        case HubRows():
            from engine.data.readers.rows import read_rows  # wants `datasets`

            return read_rows(stream, where, form)
        case PlainText():
            return read_text(stream, where, form, most)
        case PythonTree():
            return read_python(stream, where, file, member, most)
        case QuestionsYaml():
            return read_questions(stream, where, form, most)
        case Html():
            from engine.data.readers.html import read_html  # wants libraries of the extra `data`, as do the next two

            return read_html(stream, where, form, most)
        case Warc():
            from engine.data.readers.warc import read_warc

            return read_warc(stream, where, form, most)
        case Wet():
            from engine.data.readers.warc import read_wet

            return read_wet(stream, where, form, most)
        case Latex():
            return read_latex(stream, where, most)
        case ManualPage():
            from engine.data.readers.man import read_man  # wants libraries of the extra `data`

            return read_man(stream, where, most)
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
