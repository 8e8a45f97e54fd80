"""The entries of the data room up to the split: raw bytes, documents, clean, unique, train and held out."""

from collections import Counter
from collections.abc import Iterator
from typing import assert_never

from pydantic import JsonValue

from engine.artifacts.draft import Draft
from engine.artifacts.manifest import TablePart
from engine.artifacts.placement import Placement
from engine.artifacts.progress import progress
from engine.artifacts.read import Input, Inputs
from engine.data.clean import clean
from engine.data.dedup.exact import drop_duplicates
from engine.data.documents import Document, DocumentTable, Drops, read_documents, refuse_empty
from engine.data.ingest import ingest
from engine.data.scratch import scratch_folder
from engine.data.spec import Clean, Dedup, ExactDuplicates, Ingest, Split
from engine.data.split import is_heldout
from engine.spec.errors import ArtifactError


def run_ingest(stage: Ingest, _inputs: Inputs, out: Draft, placement: Placement) -> dict[str, JsonValue]:
    """Raw bytes to documents."""
    return ingest(stage, out, placement)


def run_clean(stage: Clean, inputs: Inputs, out: Draft, _placement: Placement) -> dict[str, JsonValue]:
    """Documents through cleaning steps."""
    source = inputs.one(stage.documents)
    with DocumentTable(out, "documents") as table, Drops(out) as drops:
        for document in clean(_told(source, "clean"), stage.steps, drops.add):
            table.add(document)
        reasons = ", ".join(f"{counts.total()} for {reason}" for reason, counts in sorted(drops.counts.items()))
        refuse_empty(table.documents, f"the steps dropped all of {source.run}: {reasons}; ask less of them")
    return table.metrics() | drops.metrics()


def run_dedup(stage: Dedup, inputs: Inputs, out: Draft, _placement: Placement) -> dict[str, JsonValue]:
    """One document of each cluster of duplicates."""
    source = inputs.one(stage.documents)
    with scratch_folder(out) as folder, DocumentTable(out, "documents") as table, Drops(out) as drops:
        match stage.method:
            case ExactDuplicates():
                kept = drop_duplicates(lambda: _told(source, "dedup"), stage.scope, stage.keep, folder, drops.add)
            case _:
                assert_never(stage.method)
        for document in kept:
            table.add(document)
        refuse_empty(table.documents, f"{source.run} has none")
    return table.metrics() | drops.metrics()


def run_split(stage: Split, inputs: Inputs, out: Draft, _placement: Placement) -> dict[str, JsonValue]:
    """Held-out documents apart from those for training."""
    source = inputs.one(stage.documents)
    with DocumentTable(out, "train") as train, DocumentTable(out, "heldout") as heldout:
        for document in _told(source, "split"):
            (heldout if is_heldout(document, stage) else train).add(document)
        refuse_empty(train.documents + heldout.documents, f"{source.run} has none")
        _refuse_one_sided(train.documents, heldout.documents, stage)
    return {"train": train.metrics(), "heldout": heldout.metrics()}


def _refuse_one_sided(train: Counter[str], heldout: Counter[str], stage: Split) -> None:
    if train.total() and heldout.total():
        return
    side = "train" if train.total() else "heldout"
    raise ArtifactError(
        f"all {train.total() + heldout.total()} documents fell into `{side}`, at heldout={stage.heldout}, by "
        f"{stage.by}; give more documents, another fraction or another seed"
    )


def _told(source: Input, label: str) -> Iterator[Document]:
    """The documents of an input, with progress."""
    parts = source.manifest.outputs[source.output].parts.values()
    rows = sum(part.rows for part in parts if isinstance(part, TablePart))
    return progress(read_documents(source), rows, "documents", label)
