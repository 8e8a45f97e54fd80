"""Leaks by a shared band of MinHash (Leskovec et al. 2020, chapter 3.4): what any near-duplicate search would pair.

The bands of the protected documents are in memory. All rows of the index are held against them once, a batch at a time;
what is found goes to sorted files, in which a worker looks its documents up by id and text.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import JsonValue

from engine.artifacts.read import Input, read_table
from engine.data.dedup.buckets import Buckets, Numbers, Words, buckets_for, disk_array, leading
from engine.data.dedup.entries import rows_of
from engine.data.dedup.index import BAND_WORDS
from engine.data.dedup.shingles import jaccard, shingle_hashes
from engine.data.dedup.spec import MinHash, SharedBand
from engine.data.dedup.words import binary_words, id_words
from engine.data.documents import Document
from engine.data.leaks.leak import Leak
from engine.data.leaks.protected import KEY_WORDS, Protected, key_columns
from engine.data.leaks.sorted_rows import SortedRows, order_of
from engine.spec.errors import ArtifactError

ROW = np.dtype([("key", "<u8", (KEY_WORDS,)), ("number", "<i8")])
NONE = -1


def index_bands(bands: tuple[Input, ...], protected: Protected, folder: Path) -> dict[str, JsonValue]:
    """Writes what document of the index shares a band with which protected one. ArtifactError for bands of others."""
    settings = one_setting(bands)
    tables = _BandTables(settings.bands, _protected_bands(bands, settings.bands, protected))
    rows = sum(map(rows_of, bands))
    buckets = Buckets(folder, "rows", ROW, buckets_for(rows, 2 * ROW.itemsize))
    for keys, found, shingled in _read(bands, settings.bands):
        records = np.empty(len(keys), ROW)
        records["key"] = keys[:, :KEY_WORDS]
        records["number"] = tables.numbers(found, shingled)
        buckets.add(leading(keys[:, 0], buckets.count), records)
    _save_sorted(buckets, folder)
    _save_texts(protected, folder)
    (folder / "settings.json").write_text(settings.model_dump_json(by_alias=True), "utf-8")
    return {"bands": tables.count}


def one_setting(bands: tuple[Input, ...]) -> MinHash:
    """The `minhash` stage behind the bands; where there are several, they differ in `documents` alone."""
    found = [MinHash.model_validate_json(json.dumps(item.manifest.stage)) for item in bands]
    same = {stage.replace(documents=found[0].documents).model_dump_json() for stage in found}
    if len(same) > 1:
        raise ArtifactError(
            f"{', '.join(i.ref for i in bands)} were made with different settings; bands are compared by place"
        )
    return found[0]


Flags = npt.NDArray[np.bool_]
Rows = Iterator[tuple[Words, Words, Flags]]


def _read(inputs: tuple[Input, ...], bands: int) -> Rows:
    """(ids and digests [rows, 6], bands [rows, bands, 2], whether a row has bands) a batch at a time."""
    for item in inputs:
        for batch in read_table(item.folder, ("id", "text", "bands")):
            keys = np.hstack([id_words(batch.column("id"), item.run), binary_words(batch.column("text"), 4, item.run)])
            shingled = pc.greater(pc.binary_length(batch.column("bands")), 0).to_numpy(zero_copy_only=False)
            found = np.zeros((len(keys), bands, BAND_WORDS), np.uint64)
            given = batch.column("bands").filter(pa.array(shingled))
            found[shingled] = binary_words(given, BAND_WORDS * bands, item.run).reshape(-1, bands, BAND_WORDS)
            yield keys, found, shingled


def _protected_bands(inputs: tuple[Input, ...], bands: int, protected: Protected) -> tuple[Numbers, Words]:
    """The numbers of the protected documents that have bands, and these. ArtifactError when one is not indexed."""
    missing = np.ones(len(protected), bool)
    numbers: list[Numbers] = []
    words: list[Words] = []
    for keys, found, shingled in _read(inputs, bands):
        places = protected.keys.places(key_columns(keys))
        missing[places[places >= 0]] = False
        chosen = (places >= 0) & shingled
        numbers.append(places[chosen])
        words.append(found[chosen])
    if missing.any():
        high, low = protected.ids[missing][0].tolist()
        raise ArtifactError(not_indexed(f"{high:016x}{low:016x}", "protected ", ", ".join(i.ref for i in inputs)))
    return np.concatenate(numbers), np.concatenate(words)


def not_indexed(document: str, kind: str, refs: str) -> str:
    """What is said of a document without a row."""
    return (
        f"{kind}document {document} has no row for its text in {refs}; build `minhash` stages over the documents and"
        " over the protected ones, as they are now, and name all of them in `bands`"
    )


@final
class _BandTables:
    """For each band the protected bands in order, each with the smallest number that has it."""

    def __init__(self, bands: int, protected: tuple[Numbers, Words]) -> None:
        numbers, words = protected
        self._tables = [_first_of_each(numbers, words[:, band]) for band in range(bands)]
        self.count = sum(len(found) for _, found in self._tables)

    def numbers(self, words: Words, shingled: Flags) -> Numbers:
        """For each row of bands the protected document that it shares most bands with, or NONE."""
        shared = np.full(words.shape[:2], NONE)
        for band, (rows, numbers) in enumerate(self._tables):
            places = rows.places([np.ascontiguousarray(words[:, band, word]) for word in range(BAND_WORDS)])
            hit = (places >= 0) & shingled
            shared[hit, band] = numbers[places[hit]]
        found = np.full(len(words), NONE)
        for row in np.flatnonzero((shared >= 0).any(axis=1)).tolist():
            counts = Counter(number for number in shared[row].tolist() if number >= 0)
            found[row] = min(counts, key=lambda number: (-counts[number], number))
        return found


def _first_of_each(numbers: Numbers, words: Words) -> tuple[SortedRows, Numbers]:
    columns = [np.ascontiguousarray(words[:, word]) for word in range(BAND_WORDS)]
    order = order_of([*columns, numbers.astype(np.uint64)])
    words, numbers = words[order], numbers[order]
    new = np.ones(len(order), bool)
    new[1:] = (words[1:] != words[:-1]).any(axis=1)
    return SortedRows([np.ascontiguousarray(words[new, word]) for word in range(BAND_WORDS)]), numbers[new]


def _save_sorted(buckets: Buckets, folder: Path) -> None:
    """The rows of all buckets, one column a file; buckets are in order, so one is sorted at a time."""
    keys: list[Words] = [disk_array(folder / f"key{n}", np.uint64, buckets.records) for n in range(KEY_WORDS)]
    numbers: Numbers = disk_array(folder / "numbers", np.int64, buckets.records)
    begin = 0
    for bucket in range(buckets.count):
        rows = buckets.take(bucket)
        rows = rows[order_of(list(rows["key"].T))]
        end = begin + len(rows)
        for word, column in enumerate(keys):
            column[begin:end] = rows["key"][:, word]
        numbers[begin:end] = rows["number"]
        begin = end


def _save_texts(protected: Protected, folder: Path) -> None:
    spans = np.zeros((len(protected), 2), np.int64)
    with (folder / "texts").open("wb") as file:
        for number, text in protected.distinct_texts():
            spans[number, 0] = file.tell()
            file.write(text.encode("utf-8"))
            spans[number, 1] = file.tell()
    spans.tofile(folder / "spans")


@final
class SharedBands:
    """Finds documents that share a band with a protected one; says how similar their shingles are."""

    def __init__(self, test: SharedBand, folder: Path) -> None:
        self._refs = ", ".join(test.bands)
        self._shingle = MinHash.model_validate_json((folder / "settings.json").read_text("utf-8")).shingle
        self._rows = SortedRows.open(folder, KEY_WORDS)
        self._numbers = np.memmap(folder / "numbers", np.int64, "r")
        self._spans = np.memmap(folder / "spans", np.int64, "r").reshape(-1, 2)
        self._texts = folder / "texts"

    def __call__(self, document: Document, digest: bytes) -> Leak | None:
        words = int(document.id[:16], 16), int(document.id[16:], 16), int.from_bytes(digest[:8], "big")
        place = self._rows.place(*words)
        if place < 0:
            raise ArtifactError(not_indexed(document.id, "", self._refs))
        number = int(self._numbers[place])
        return None if number < 0 else Leak("leak_near", number, self._similarity(document.text, number))

    def _similarity(self, text: str, number: int) -> float:
        begin, end = self._spans[number].tolist()
        with self._texts.open("rb") as file:
            file.seek(begin)
            protected = file.read(end - begin).decode("utf-8")
        return float(jaccard(shingle_hashes(text, self._shingle), shingle_hashes(protected, self._shingle)))
