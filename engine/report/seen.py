"""What a training run and its checkpoints have seen: rows by step, through every run that it goes on from."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
from pydantic import ValidationError

from engine.artifacts.built import as_read, built_runs, output_of
from engine.artifacts.manifest import InputRecord, Manifest
from engine.artifacts.read import Input
from engine.artifacts.store import Store
from engine.data.lookup import nearest, starting
from engine.data.provenance import Positions, positions_of_document
from engine.spec.errors import ArtifactError, SpecError
from engine.train.data import Rows, batch_digest
from engine.train.spec import TrainPlan, before
from engine.train.spikes import deferred_chunks, read_events
from engine.train.steplog import read_steps

ENTRIES = ("ingest", "plant")
"""Stages at which documents come into being."""
SHOWN = 5


@final
@dataclass(frozen=True, slots=True)
class Reading:
    """A training run up to its step `last`, and the tables that it read, or would read: then `log` is None.

    Else the log has the digest of the batch of every step.
    """

    name: str
    stage: TrainPlan
    rows: Input
    provenance: Input
    documents: Input
    log: Mapping[int, str] | None
    last: int
    deferred: tuple[int, ...] = ()
    """Chunks that the run moved to the end of its order."""

    def batches(self) -> Rows:
        """The rows in the order in which the run read them."""
        return Rows(self.rows.folder, self.stage, self.deferred)

    def check(self, steps: Iterable[int]) -> None:
        """ArtifactError when the run logged another batch at a step than the rows give."""
        if self.log is None:
            return
        batches = self.batches()
        for step in steps:
            if self.log.get(step) != batch_digest(batches.batch(step)):
                raise ArtifactError(
                    f"{self.name} did not read at step {step} what {self.rows.run} gives, by the batch in its log; "
                    f"`facsimile audit {self.name}` tells which of them was changed"
                )


Known = dict[tuple[str, str], Positions]
"""Positions of one document by the digests of rows and provenance: several runs may read the same."""


@final
@dataclass(frozen=True, slots=True)
class Sighting:
    """Where a run read a document: (run, step, row of the batch), those of the runs that it goes on from too."""

    run: str
    positions: tuple[int, ...]  # of the training order of its own rows, read or not
    steps: tuple[tuple[str, int, int], ...]
    checkpoints: tuple[str, ...]
    """Those of the run that have seen it."""

    def data(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        """One line with the checkpoints."""
        names = " ".join(checkpoint.partition("@")[2] for checkpoint in self.checkpoints) or "no checkpoint"
        count = f"{len(self.steps)} rows, first at step {self.steps[0][1]}" if self.steps else "no row"
        return [f"{self.run}: {count}; seen by {names}"]


def reading(store: Store, run: str, manifest: Manifest, last: int | None = None) -> Reading:
    """What a finished run says that it read, up to a step, or to its last. ArtifactError when that is gone."""
    stage = stage_of_manifest(manifest)
    rows = as_read(run, one(manifest, stage.rows), store)
    documents = as_read(run, one(rows.manifest, str(rows.manifest.stage["documents"])), store)
    log = {step.step: step.batch for step in read_steps(store.folder(run) / "log/steps.jsonl", stage.first_step() + 1)}
    provenance = output_of(rows.manifest, "provenance", store)
    deferred = deferred_chunks(read_events(store.folder(run) / "log"))
    return Reading(run, stage, rows, provenance, documents, log, stage.steps if last is None else last, deferred)


def stage_of_manifest(manifest: Manifest) -> TrainPlan:
    """The lowered stage that a run was built by."""
    try:
        return TrainPlan.model_validate_json(json.dumps(manifest.stage))
    except ValidationError as error:
        text = f"{manifest.run} was built by an engine whose stages differ ({error.errors()[0]['msg']}); build it again"
        raise ArtifactError(text) from error


def one(manifest: Manifest, ref: str) -> InputRecord:
    """The record of a reference that names one output."""
    (record,) = manifest.inputs[ref]
    return record


def history(store: Store, run: str, manifest: Manifest, last: int | None = None) -> tuple[Reading, ...]:
    """A finished run after all that it goes on from, each up to the step at which the next one begins."""
    own = reading(store, run, manifest, last)
    earlier = before(own.stage.start)
    if earlier is None:
        return (own,)
    ref, step = earlier
    start = as_read(run, one(manifest, ref), store)
    return (*history(store, start.run, start.manifest, step), own)


def sightings(found: Sequence[Sequence[Reading]], document: str) -> tuple[Sighting, ...]:
    """Where each of some histories has a document, whose digits are all there."""
    tables = {item.documents.digest: item.documents for history in found for item in history}
    holding = {digest for digest, table in tables.items() if starting(table.folder, "id", document)}
    nowhere = np.empty(0, np.int64)
    known: Known = {_tables(i): nowhere for history in found for i in history if i.documents.digest not in holding}
    return tuple(_sighting(history, document, known) for history in found)


def _sighting(readings: Sequence[Reading], document: str, known: Known) -> Sighting:
    steps: list[tuple[str, int, int]] = []
    for found in readings:
        key, size, first = _tables(found), found.stage.batch.rows, found.stage.first_step()
        if key not in known:
            known[key] = positions_of_document(found.rows, found.provenance, found.documents, document)
        places = found.batches().places(known[key]) if len(known[key]) else known[key]
        own = sorted((int(p) // size + 1, int(p) % size) for p in places)
        own = [(step, row) for step, row in own if first < step <= found.last]
        found.check(sorted({step for step, _ in own}))
        steps += [(found.name, step, row) for step, row in own]
    last = readings[-1]
    kept = [step for step in last.stage.kept_steps() if steps and step >= steps[0][1]]
    positions = tuple(int(p) for p in known[_tables(last)])
    return Sighting(last.name, positions, tuple(steps), tuple(f"{last.name}@step-{step}" for step in kept))


def _tables(found: Reading) -> tuple[str, str]:
    return found.rows.digest, found.provenance.digest


@final
@dataclass(frozen=True, slots=True)
class Seen:
    """A document and every training run that was asked about it."""

    document: str
    sightings: tuple[Sighting, ...]
    problems: tuple[str, ...]
    """What cannot be told, because it was built again or is gone."""

    def data(self) -> dict[str, Any]:
        return {
            "document": self.document,
            "checkpoints": [name for item in self.sightings for name in item.checkpoints],
            "runs": [item.data() for item in self.sightings],
            "problems": list(self.problems),
        }

    def lines(self) -> list[str]:
        seen = [item for item in self.sightings if item.steps]
        count = sum(len(item.checkpoints) for item in seen)
        head = f"document {self.document}: {count} checkpoints of {len(seen)} training runs have seen it"
        told = [f"  {line}" for item in seen for line in item.lines()]
        return [head, *told, *(f"  not known: {problem}" for problem in self.problems)]


def who_saw(store: Store, experiment: str, text: str) -> Seen:
    """Every finished training run, of one experiment or of all, that read rows of a document; a prefix names it.

    SpecError with the nearest ids when no document of any of them begins so.
    """
    found: list[tuple[Reading, ...]] = []
    tables: dict[str, Input] = {}
    problems: list[str] = []
    for run in built_runs(store, experiment):
        try:
            manifest = store.manifest(run)
            if manifest and manifest.stage["kind"] == "train":
                found.append(history(store, run, manifest))
            elif manifest and manifest.stage["kind"] in ENTRIES:
                tables[manifest.outputs["documents"].digest] = output_of(manifest, "documents", store)
        except ArtifactError as error:
            problems.append(str(error))
    tables |= {item.documents.digest: item.documents for past in found for item in past}
    document = document_named(tuple(tables.values()), text)
    return Seen(document, sightings(found, document), tuple(dict.fromkeys(problems)))


def document_named(tables: Sequence[Input], text: str) -> str:
    """The id that a text spells, or that alone begins with it. SpecError with the nearest ids when there is none."""
    found = sorted({name for table in tables for name in starting(table.folder, "id", text)})
    if len(found) == 1:
        return found[0]
    place = ", ".join(dict.fromkeys(f"{table.run}@{table.output}" for table in tables)) or "what is built"
    if found:
        raise SpecError(f"{len(found)} documents of {place} begin with {text!r}: {listed(found)}; write more digits")
    raise SpecError(
        f"{place} has no document {text}; `facsimile trace RUN --step N` prints ids{near(tables, 'id', text)}"
    )


def near(tables: Sequence[Input], column: str, text: str) -> str:
    """What the documents have that begins most like a text."""
    found = sorted({name for table in tables for name in nearest(table.folder, column, text)})
    return f"; nearest: {listed(found)}" if found else ""


def listed(names: Sequence[str]) -> str:
    """The first few."""
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
