"""Clusters put down: the documents that stay, those that go with the one that stands for each, and the counts."""

from collections import Counter
from pathlib import Path
from typing import final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import JsonValue

from engine.artifacts.draft import Draft
from engine.artifacts.placement import Placement
from engine.artifacts.progress import progress
from engine.artifacts.read import Input
from engine.data.dedup.buckets import Numbers, chunks, disk_array
from engine.data.dedup.clusters import Clustering
from engine.data.dedup.words import id_texts, text_words
from engine.data.documents import COLUMNS, DROPPED_SCHEMA, SCHEMA, DocumentTable, Drops, by_domain, refuse_empty
from engine.data.partitions import partitions, read_partition
from engine.spec.errors import ArtifactError


def write_outcome(
    documents: Input, found: Clustering, out: Draft, folder: Path, placement: Placement
) -> dict[str, JsonValue]:
    """Writes and closes `documents` and `dropped`; gives the counts. Memory is one partition.

    ArtifactError when there are no documents, or when a text is not the one that the bands were made of.
    """
    pieces, tally = partitions(documents, placement), _Tally(found)
    with DocumentTable(out, "documents") as table, Drops(out) as drops:
        for piece in progress(pieces, len(pieces), "parts", "dedup"):
            rows = read_partition(piece, COLUMNS)
            _refuse_other_texts(documents, rows, piece.first, found)
            numbers = found.ranking.number[piece.first : piece.first + len(rows)]
            stays = found.root[numbers] == numbers
            kept = rows.filter(pa.array(stays))
            for batch in kept.cast(SCHEMA).to_batches():
                table.write(batch)
            gone = rows.filter(pa.array(~stays))
            drops.write(_dropped(gone, numbers[~stays], found))
            tally.keep(kept, numbers[stays])
            tally.drop(gone, numbers[~stays])
        refuse_empty(table.documents, f"{documents.run} has none")
    sizes = _sizes(found.root, folder)
    return table.metrics() | drops.metrics() | tally.metrics() | sizes | found.metrics | {"spilled_bytes": found.bytes}


def _refuse_other_texts(documents: Input, rows: pa.Table, first: int, found: Clustering) -> None:
    if found.texts is None or not len(rows):
        return
    other = (text_words(rows.column("text").combine_chunks()) != found.texts[first : first + len(rows)]).any(axis=1)
    if other.any():
        name = rows.column("id")[int(np.flatnonzero(other)[0])].as_py()
        raise ArtifactError(
            f"document {name} of {documents.run} has another text than the one that its bands were made of; nothing may"
            " change a text between `minhash` and `dedup`, so clean before both"
        )


def _dropped(gone: pa.Table, numbers: Numbers, found: Clustering) -> pa.RecordBatch:
    """Rows of DROPPED_SCHEMA. What has the text of the one that stays is an exact duplicate, all else is a near one."""
    twin, root = found.twin[numbers], found.root[numbers]
    exact = twin == root
    similar = np.ones(len(numbers)) if found.similarity is None else np.where(exact, 1.0, found.similarity[twin])
    columns = [gone.column(name).combine_chunks() for name in ("id", "source", "domain")]
    reasons = pc.if_else(pa.array(exact), "exact_duplicate", "near_duplicate").cast(pa.string())
    stands_for = id_texts(found.ranking.ids[root])
    return pa.RecordBatch.from_arrays([*columns, reasons, stands_for, pa.array(similar)], schema=DROPPED_SCHEMA)


@final
class _Tally:
    """Who stands for whom, by source, and how much text stayed and went, by domain."""

    def __init__(self, found: Clustering) -> None:
        self._found = found
        self._stand_ins: dict[str, Counter[str]] = {}
        self._kept: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()

    def drop(self, gone: pa.Table, numbers: Numbers) -> None:
        ranking, entries = self._found.ranking, self._found.entries
        sources = entries.sources.names
        pairs = np.stack([ranking.source[numbers], ranking.source[self._found.root[numbers]]], axis=1)
        for (source, by), count in zip(*np.unique(pairs, axis=0, return_counts=True), strict=True):
            self._stand_ins.setdefault(sources[source], Counter())[sources[by]] += int(count)
        self._weigh(gone, numbers, self._dropped)

    def keep(self, kept: pa.Table, numbers: Numbers) -> None:
        self._weigh(kept, numbers, self._kept)

    def _weigh(self, rows: pa.Table, numbers: Numbers, into: Counter[str]) -> None:
        domains, codes = self._found.entries.domains.names, self._found.ranking.domain[numbers]
        lengths = pc.binary_length(rows.column("text")).to_numpy()
        for code in np.unique(codes):
            into[domains[code]] += int(lengths[codes == code].sum())

    def metrics(self) -> dict[str, JsonValue]:
        """`stand_ins` has, for each source that lost documents, how many of what source stand for them."""
        return {
            "kept_bytes": by_domain(self._kept),
            "dropped_bytes": by_domain(self._dropped),
            "stand_ins": {source: by_domain(counts) for source, counts in sorted(self._stand_ins.items())},
        }


def _sizes(root: Numbers, folder: Path) -> dict[str, JsonValue]:
    """How many clusters of more than one document there are, and the documents of the largest."""
    sizes = disk_array(folder / "sizes", np.int64, len(root))
    for run in chunks(len(root)):
        np.add.at(sizes, root[run], 1)
    clusters = sum(int((sizes[run] > 1).sum()) for run in chunks(len(root)))
    return {
        "clusters": clusters,
        "largest_cluster": max((int(sizes[run].max()) for run in chunks(len(root))), default=0),
    }
