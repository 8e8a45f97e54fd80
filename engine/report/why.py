"""Where a document went: through every data stage that it came to, and why it went no further."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np

from engine.artifacts.built import as_read, built_runs, output_of
from engine.artifacts.manifest import Manifest
from engine.artifacts.read import Input
from engine.artifacts.store import Store
from engine.data.documents import COLUMNS, DROPPED_COLUMNS, Document, documents_of
from engine.data.lookup import find, starting
from engine.data.provenance import ESCAPED, positions_of_rows
from engine.report.seen import ENTRIES, listed, near
from engine.report.thresholds import thresholds
from engine.spec.errors import ArtifactError, SpecError

DOCUMENTS = ("documents", "train", "heldout")
LEAST_DIGITS = 6
ID_DIGITS = 32
LINE_CHARS = 100
SIMILAR = ("exact_duplicate", "near_duplicate", "leak_exact", "leak_near")
"""Reasons whose number is how similar two documents are."""


@final
@dataclass(frozen=True, slots=True)
class Origin:
    """A document without its text, but for the first line of it that has a letter or digit."""

    id: str
    source: str
    domain: str
    locator: str
    licence: str
    line: str

    def lines(self) -> list[str]:
        return [
            f"from {self.source}: {self.locator} ({self.licence}), domain {self.domain}",
            f"| {self.line.translate(ESCAPED)}",
        ]


@final
@dataclass(frozen=True, slots=True)
class StandIn:
    """The document that stands for another: where it is, how alike they are, and what became of it."""

    document: Origin
    found_in: str  # run@output
    similarity: float | None
    survived: bool
    """To the end of every branch below."""
    ends: tuple["Branch", ...]

    def lines(self) -> list[str]:
        alike = "" if self.similarity is None else f", similarity {self.similarity:g}"
        ends = [f"{'survived' if end.survived else 'did not survive'}: {end.line()}" for end in self.ends]
        ends = ends or ["is a protected document"]
        return [f"{self.document.id} of {self.found_in} stands for it{alike}", *self.document.lines(), *ends]


@final
@dataclass(frozen=True, slots=True)
class Drop:
    """Why a stage dropped a document; `thresholds` are values of the stage, by their place in it."""

    reason: str
    measured: float | None
    thresholds: dict[str, Any]
    stands_for: StandIn | None

    def lines(self) -> list[str]:
        alike = self.stands_for is not None and self.stands_for.similarity is not None
        told = [f"measured {self.measured:g}"] if self.measured is not None and not alike else []
        told += [f"{place}: {json.dumps(value)}" for place, value in self.thresholds.items()]
        return [*([", ".join(told)] if told else []), *(self.stands_for.lines() if self.stands_for else [])]


@final
@dataclass(frozen=True, slots=True)
class Step:
    """What a run did with a document; `came_from` are the runs that it read the document of."""

    run: str
    kind: str
    fate: str
    """`came in`, `planted`, `kept`, `train`, `heldout`, `dropped`, `packed`, `in no row`, `indexed`, `listed`."""
    detail: str
    came_from: tuple[str, ...]
    drop: Drop | None

    def lines(self) -> list[str]:
        fate = f"dropped: {self.drop.reason}" if self.drop else self.fate
        told = f"{self.run}  {fate}" + (f" ({self.detail})" if self.detail else "")
        return [told, *(f"    {line}" for line in (self.drop.lines() if self.drop else ()))]


@final
@dataclass(frozen=True, slots=True)
class Branch:
    """One way through the stages, to where it ends; the fate is that of the last step."""

    runs: tuple[str, ...]
    fate: str
    detail: str

    @property
    def survived(self) -> bool:
        return self.fate not in ("dropped", "lost", "in no row")

    def line(self) -> str:
        return f"{self.fate} at {self.runs[-1]}" + (f" ({self.detail})" if self.detail else "")


@final
@dataclass(frozen=True, slots=True)
class Why:
    """The whole answer."""

    document: Origin
    steps: tuple[Step, ...]
    branches: tuple[Branch, ...]
    not_built: tuple[str, ...]

    def data(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        steps = [line for step in self.steps for line in step.lines()]
        ways = [f"branch to {branch.line()}" for branch in self.branches] if len(self.branches) > 1 else []
        origin = [f"  {line}" for line in self.document.lines()]
        missing = [f"not built, so not looked at: {', '.join(self.not_built)}"] if self.not_built else []
        return [f"document {self.document.id}", *origin, *steps, *ways, *missing]


def why(store: Store, experiment: str, text: str, planned: Sequence[str] = ()) -> Why:
    """What became of a document of an experiment, by what is built of it.

    `text` is its id, a prefix of at least LEAST_DIGITS that no other id has, or its locator; `planned` are all runs
    that there might be. SpecError, with the nearest ids or locators, when there is no such document; ArtifactError
    when a stage was built again since another read it.
    """
    runs = data_runs(store, experiment)
    tables = [output_of(item, "documents", store) for item in runs.values() if item.stage["kind"] in ENTRIES]
    document = named(tables, text, experiment)
    walk = _Walk(store, runs)
    steps = walk.steps(document)
    origin = walk.origin(steps[0].run, "documents", document)
    return Why(origin, steps, branches(steps), tuple(run for run in planned if run not in runs))


def data_runs(store: Store, experiment: str) -> dict[str, Manifest]:
    """The built runs of an experiment, each after those it reads; else by their distance to the raw files and name."""
    found = {run: manifest for run in built_runs(store, experiment) if (manifest := store.manifest(run))}
    if not found:
        raise ArtifactError(f"nothing of {experiment} is built; build it with `dvc repro`")
    depth: dict[str, int] = {}

    def measure(run: str) -> int:
        if run not in depth:
            reads = {item.run for items in found[run].inputs.values() for item in items} & found.keys()
            depth[run] = 1 + max(map(measure, sorted(reads)), default=0)
        return depth[run]

    return {run: found[run] for run in sorted(found, key=lambda run: (measure(run), run))}


def named(tables: Sequence[Input], text: str, experiment: str) -> str:
    """The id of the document that a text names."""
    digits = len(text) <= ID_DIGITS and set(text) <= set("0123456789abcdef")
    if digits and len(text) >= LEAST_DIGITS:
        ids = sorted({name for table in tables for name in starting(table.folder, "id", text)})
        if len(ids) > 1:
            raise SpecError(
                f"{len(ids)} documents of {experiment} begin with {text!r}: {listed(ids)}; write more digits"
            )
        if ids:
            return ids[0]
    found = (table for item in tables for table in find(item.folder, "locator", {text}, ["id"]))
    for table in found:
        return str(table.column("id")[0].as_py())
    if digits and len(text) < LEAST_DIGITS:
        raise SpecError(f"{text!r} is too short for an id; write at least {LEAST_DIGITS} digits of it, or a locator")
    raise SpecError(f"{experiment} has no document {text!r}{near(tables, 'id' if digits else 'locator', text)}")


def branches(steps: Sequence[Step]) -> tuple[Branch, ...]:
    """Every way through the steps that hand documents on or drop them, in the order of their ends."""
    ways = {step.run: step for step in steps if step.fate not in ("indexed", "listed")}
    read = {run for step in ways.values() for run in step.came_from}
    return tuple(
        Branch(runs, step.fate, step.drop.reason if step.drop else step.detail)
        for end, step in ways.items()
        if end not in read
        for runs in _ways_to(ways, end)
    )


def _ways_to(ways: Mapping[str, Step], end: str) -> Iterator[tuple[str, ...]]:
    if not ways[end].came_from:
        yield (end,)
    for run in ways[end].came_from:
        yield from ((*way, end) for way in _ways_to(ways, run))


@final
class _Walk:
    """The data stages of an experiment, and how a document is found in what they wrote."""

    def __init__(self, store: Store, runs: Mapping[str, Manifest]) -> None:
        self._store, self._runs = store, runs

    def steps(self, document: str, stand_ins: bool = True) -> tuple[Step, ...]:
        """What every run that a document came to did with it."""
        holds: set[tuple[str, str]] = set()
        steps: list[Step] = []
        for run, manifest in self._runs.items():
            came_from = tuple(dict.fromkeys(self._came_from(run, manifest, holds)))
            step = self._step(manifest, document, came_from, stand_ins)
            if step:
                steps.append(step)
                outputs = [step.fate] if step.fate in DOCUMENTS else ["documents"]
                holds |= {(run, output) for output in outputs if step.fate not in ("dropped", "indexed", "listed")}
        return tuple(steps)

    def _came_from(self, run: str, manifest: Manifest, holds: set[tuple[str, str]]) -> Iterator[str]:
        for record in manifest.inputs.get(str(manifest.stage.get("documents", "")), ()):
            if (record.run, record.output) in holds:
                as_read(run, record, self._store)
                yield record.run

    def _step(self, manifest: Manifest, document: str, came_from: tuple[str, ...], stand_ins: bool) -> Step | None:
        kind, outputs = str(manifest.stage["kind"]), manifest.outputs

        def step(fate: str, detail: str = "", drop: Drop | None = None) -> Step:
            return Step(manifest.run, kind, fate, detail, came_from, drop)

        if "only" in outputs:
            return step("listed") if self._row(manifest, "only", "id", document, ["id"]) else None
        if not came_from and "planted" in outputs:
            copy = self._row(manifest, "planted", "id", document, ["copy_of"])
            return step("planted", f"a copy of {copy['copy_of']}") if copy else None
        if not came_from and kind != "ingest":
            return None
        if "bands" in outputs:
            return step("indexed")
        if "dropped" in outputs and (row := self._row(manifest, "dropped", "id", document, DROPPED_COLUMNS)):
            return step("dropped", drop=self._drop(manifest, row, stand_ins))
        if "provenance" in outputs:
            return step(*self._packed(manifest, document))
        kept = [name for name in DOCUMENTS if name in outputs and self._row(manifest, name, "id", document, ["id"])]
        if kept:
            return step("came in" if not came_from else "kept" if kept[0] == "documents" else kept[0])
        lost = bool(came_from) and any(name in outputs for name in DOCUMENTS)
        return step("lost", "neither kept nor dropped") if lost else None

    def _packed(self, manifest: Manifest, document: str) -> tuple[str, str]:
        found = list(find(self._input(manifest, "provenance").folder, "document", {document}, ["row", "tokens"]))
        if not found:
            return "in no row", ""
        rows = np.unique(np.concatenate([table["row"].to_numpy() for table in found]))
        tokens = sum(int(table["tokens"].to_numpy().sum()) for table in found)
        places = len(positions_of_rows(self._input(manifest, "rows"), rows))
        return "packed", f"{tokens} tokens in {len(rows)} rows, at {places} places of the training order"

    def _drop(self, manifest: Manifest, row: Mapping[str, Any], stand_ins: bool) -> Drop:
        reason, measured = str(row["reason"]), row["measured"]
        stand_in = self._stand_in(manifest, str(row["stands_for"]), reason, measured) if stand_ins else None
        return Drop(reason, measured, thresholds(manifest, reason, self._runs), stand_in)

    def _stand_in(self, manifest: Manifest, document: str, reason: str, measured: float | None) -> StandIn | None:
        """It is among the documents that the stage kept, or among those that it protects."""
        if not document:
            return None
        protected = [(item.run, item.output) for ref in _refs(manifest, "against") for item in manifest.inputs[ref]]
        for run, output in ((manifest.run, "documents"), *protected):
            if self._row(self._runs[run], output, "id", document, ["id"]):
                origin = self.origin(run, output, document)
                ways = branches(self.steps(document, stand_ins=False))
                ends = tuple(way for way in ways if run in way.runs and (run, output) not in protected)
                survived = all(way.survived for way in ends)
                return StandIn(origin, f"{run}@{output}", measured if reason in SIMILAR else None, survived, ends)
        raise ArtifactError(f"{document} stands for a document that {manifest.run} dropped, and is nowhere in it")

    def origin(self, run: str, output: str, document: str) -> Origin:
        """A document as an output has it."""
        tables = find(self._input(self._runs[run], output).folder, "id", {document}, COLUMNS)
        (found,) = (item for table in tables for batch in table.to_batches() for item in documents_of(batch))
        return Origin(found.id, found.source, found.domain, found.locator, found.licence, first_line(found))

    def _row(
        self, manifest: Manifest, output: str, column: str, value: str, columns: Sequence[str]
    ) -> dict[str, Any] | None:
        for table in find(self._input(manifest, output).folder, column, {value}, columns):
            return dict(table.to_pylist()[0])
        return None

    def _input(self, manifest: Manifest, output: str) -> Input:
        return output_of(manifest, output, self._store)


def _refs(manifest: Manifest, field: str) -> tuple[str, ...]:
    match manifest.stage.get(field):
        case str(ref):
            return (ref,)
        case list() | tuple() as refs:
            return tuple(str(ref) for ref in refs)
        case _:
            return ()


def first_line(document: Document) -> str:
    """The first line with a letter or digit, cut to LINE_CHARS."""
    line = next((line.strip() for line in document.text.split("\n") if any(map(str.isalnum, line))), "")
    return line[:LINE_CHARS] + ("..." if len(line) > LINE_CHARS else "")
