"""What dedup knows of each document, spilled by its id: the digest of its text, where it stands, and its rank."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.artifacts.manifest import TablePart
from engine.artifacts.read import Input, read_table
from engine.data.dedup.buckets import Buckets, Records, Words, buckets_for, leading
from engine.data.dedup.spec import Keep
from engine.data.dedup.words import Codes, id_texts, id_words, text_words
from engine.spec.errors import ArtifactError

ENTRY = np.dtype(
    [
        ("id", "<u8", (2,)),
        ("text", "<u8", (4,)),
        ("position", "<i8"),
        ("rank", "<i4"),
        ("domain", "<i4"),
        ("source", "<i4"),
    ]
)


@final
@dataclass(frozen=True, slots=True)
class Entries:
    """The entries of documents by the leading bits of their ids, and the names that stand for codes in them."""

    rows: int
    ranks: int
    buckets: Buckets
    domains: Codes
    sources: Codes

    def sorted(self) -> Iterator[Records]:
        """The entries of one bucket after the other, sorted by id. ArtifactError when an id stands twice."""
        for bucket in range(self.buckets.count):
            yield by_id(self.buckets.read(bucket), "the documents")


def spill_entries(documents: Input, keep: Keep, folder: Path, digests: bool, extra_bytes: int = 0) -> Entries:
    """The entries of documents; without `digests` the texts are not read and their digests are zero.

    `extra_bytes` is what else is in memory for each entry of a bucket.
    """
    rows = rows_of(documents)
    count = buckets_for(rows, ENTRY.itemsize + extra_bytes)
    found = Entries(rows, len(keep.priority) + 1, Buckets(folder, "entries", ENTRY, count), Codes(), Codes())
    position = 0
    for batch in read_table(documents.folder, ("id", "source", "domain", *(("text",) if digests else ()))):
        entries = np.zeros(batch.num_rows, ENTRY)
        entries["id"] = id_words(batch.column("id"), documents.run)
        entries["position"] = np.arange(position, position + batch.num_rows)
        entries["domain"] = found.domains.of(batch.column("domain"))
        entries["source"] = found.sources.of(batch.column("source"))
        entries["rank"] = _ranks(keep, found, entries)
        if digests:
            entries["text"] = text_words(batch.column("text"))
        found.buckets.add(leading(entries["id"][:, 0], count), entries)
        position += batch.num_rows
    return found


def rows_of(table: Input) -> int:
    """The rows of a table as its manifest has them."""
    parts = table.manifest.outputs[table.output].parts.values()
    return sum(part.rows for part in parts if isinstance(part, TablePart))


def _ranks(keep: Keep, found: Entries, entries: Records) -> npt.NDArray[np.int32]:
    """The place of each document's domain or source in the priority."""
    places = {name: rank for rank, name in enumerate(keep.priority)}
    names = found.domains.names if keep.by == "domain" else found.sources.names
    ranks = np.array([places.get(name, len(places)) for name in names], np.int32)
    found_ranks: npt.NDArray[np.int32] = ranks[entries[keep.by]]
    return found_ranks


def by_id(records: Records, whose: str) -> Records:
    """Records with a field `id`, sorted by it. ArtifactError when one stands twice."""
    ids: Words = records["id"]
    order = np.lexsort((ids[:, 1], ids[:, 0]))
    found: Records = records[order]
    twice = (found["id"][1:] == found["id"][:-1]).all(axis=1)
    if twice.any():
        name = _text(found["id"][1:][twice][0])
        raise ArtifactError(f"{whose} hold the id {name} twice; ids must differ, so read no source two times")
    return found


def _text(words: Words) -> str:
    """One id."""
    names: pa.StringArray = id_texts(words.reshape(1, 2))
    return str(names[0].as_py())
