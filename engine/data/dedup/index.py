"""Documents beside their bands, joined by id one bucket at a time; the bands may be of more documents."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import final

import numpy as np
import pyarrow.compute as pc

from engine.artifacts.read import Input, read_table
from engine.data.dedup.buckets import Buckets, Numbers, Records, Words, disk_array, leading
from engine.data.dedup.entries import ENTRY, Entries, by_id, spill_entries
from engine.data.dedup.spec import Keep, MinHash
from engine.data.dedup.words import binary_words, id_texts, id_words
from engine.spec.errors import ArtifactError

BAND_WORDS = 2  # 16 bytes


@final
class Index:
    """`entries` with the digests of the texts that the bands are of, which are also in `texts` by position."""

    def __init__(self, documents: Input, bands: Input, keep: Keep, folder: Path) -> None:
        self._documents, self._bands = documents, bands
        self.minhash = MinHash.model_validate_json(json.dumps(bands.manifest.stage))
        words = BAND_WORDS * self.minhash.bands
        row = np.dtype([("id", "<u8", (2,)), ("text", "<u8", (4,)), ("shingled", "?"), ("bands", "<u8", (words,))])
        plain = spill_entries(documents, keep, folder, digests=False, extra_bytes=row.itemsize)
        self._rows = Buckets(folder, "bands", row, plain.buckets.count)
        self._spill_bands(row)
        self.texts: Words = disk_array(folder / "digests", np.uint64, plain.rows, 4)
        joined = Buckets(folder, "joined", ENTRY, plain.buckets.count)
        self.entries = Entries(plain.rows, plain.ranks, joined, plain.domains, plain.sources)
        self._join(plain)
        self.bytes = plain.buckets.bytes + joined.bytes + self._rows.bytes + self.texts.nbytes

    def joined(self) -> Iterator[tuple[Records, Records]]:
        """Entries and, row by row, what the index has of them (`shingled`, `bands`), a bucket at a time."""
        for bucket, entries in enumerate(self.entries.sorted()):
            rows = self._rows.read(bucket)
            yield entries, rows[match(entries["id"], rows["id"])]

    def _spill_bands(self, row: np.dtype[np.void]) -> None:
        words = row["bands"].shape[0]
        for batch in read_table(self._bands.folder, ("id", "text", "bands")):
            rows = np.zeros(batch.num_rows, row)
            rows["id"] = id_words(batch.column("id"), self._bands.run)
            rows["text"] = binary_words(batch.column("text"), 4, self._bands.run)
            some = pc.greater(pc.binary_length(batch.column("bands")), 0)  # a text without a shingle has no band
            rows["shingled"] = some.to_numpy(zero_copy_only=False)
            rows["bands"][rows["shingled"]] = binary_words(batch.column("bands").filter(some), words, self._bands.run)
            self._rows.add(leading(rows["id"][:, 0], self._rows.count), rows)

    def _join(self, plain: Entries) -> None:
        for bucket, entries in enumerate(plain.sorted()):
            rows = by_id(self._rows.read(bucket), f"the bands of {self._bands.run}")
            places = match(entries["id"], rows["id"])
            if (places < 0).any():
                raise self._unknown(entries["id"][places < 0][:1])
            entries["text"] = rows["text"][places]
            self.texts[entries["position"]] = entries["text"]
            self.entries.buckets.add(np.full(len(entries), bucket), entries)

    def _unknown(self, missing: Words) -> ArtifactError:
        return ArtifactError(
            f"document {id_texts(missing)[0].as_py()} of {self._documents.run} has no row in {self._bands.ref}; `bands`"
            f" must be of these documents or of more: build a `minhash` stage over {self._documents.ref} and name it"
        )


def match(wanted: Words, table: Words) -> Numbers:
    """For each row of `wanted` [n, words] the place of an equal row of `table` [m, words], or -1."""
    both = np.concatenate([table, wanted])
    asked = np.arange(len(both)) >= len(table)
    order = np.lexsort((asked, *(both[:, word] for word in reversed(range(both.shape[1])))))
    seen = np.maximum.accumulate(np.where(asked[order], -1, np.arange(len(order))))
    queries = np.flatnonzero(asked[order])
    candidates = np.where(seen[queries] < 0, -1, order[seen[queries]])
    equal = (candidates >= 0) & (both[candidates] == both[order[queries]]).all(axis=1)
    found = np.full(len(wanted), -1)
    found[order[queries] - len(table)] = np.where(equal, candidates, -1)
    return found
