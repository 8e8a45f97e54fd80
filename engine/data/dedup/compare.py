"""Documents that one stage dropped and another did not, each with the origin of the one that stands for it."""

from collections import Counter
from pathlib import Path
from typing import final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import JsonValue

from engine.artifacts.draft import Draft
from engine.artifacts.read import Input, read_table
from engine.data.dedup.buckets import Buckets, Records, buckets_for, disk_array, leading
from engine.data.dedup.entries import rows_of
from engine.data.dedup.index import match
from engine.data.dedup.words import Codes, id_texts, id_words
from engine.data.documents import DROPPED_COLUMNS, by_domain
from engine.spec.errors import ArtifactError

TEXTS = ("id", "source", "domain", "reason", "stands_for", "stand_in_source", "stand_in_domain")
ONLY_SCHEMA = pa.schema(
    [*(pa.field(name, pa.string(), nullable=False) for name in TEXTS), pa.field("measured", pa.float64())]
)
ROW = np.dtype([("id", "<u8", (2,)), ("row", "<i8")])
ORIGIN = np.dtype([("id", "<u8", (2,)), ("source", "<i4"), ("domain", "<i4")])
NOBODY = -1  # in place of a code: no document stands for this one


def compare_drops(dropped: Input, documents: Input, unless: Input, out: Draft, folder: Path) -> dict[str, JsonValue]:
    """Writes and closes `only`, in the order of `dropped`; gives the counts. Memory is one bucket of `folder`.

    ArtifactError when a document that stands for a dropped one is not among `documents`.
    """
    only = _only(dropped, unless, folder)
    stand_ins = _StandIns(dropped, documents, only, folder)
    sources, domains = _Crossed(), _Crossed()
    with out.table("only", ONLY_SCHEMA) as table:
        first = 0
        for batch in read_table(dropped.folder, DROPPED_COLUMNS):
            chosen = np.array(only[first : first + batch.num_rows])
            rows = batch.filter(pa.array(chosen))
            source, domain = stand_ins.names(first + np.flatnonzero(chosen))
            columns = [*(rows.column(name) for name in TEXTS[:5]), source, domain, rows.column("measured")]
            table.write(pa.RecordBatch.from_arrays(columns, schema=ONLY_SCHEMA))
            sources.add(rows.column("source"), source)
            domains.add(rows.column("domain"), domain)
            first += batch.num_rows
    out.close("only")
    count, all_rows = int(only.sum()), rows_of(dropped)
    return {
        "only": count,
        "both": all_rows - count,
        "only_unless": rows_of(unless) - (all_rows - count),
        "sources": sources.metrics(),
        "domains": domains.metrics(),
    }


def _only(dropped: Input, unless: Input, folder: Path) -> npt.NDArray[np.bool_]:
    """By row of `dropped`: whether its document is not in `unless`."""
    rows = rows_of(dropped)
    count = buckets_for(rows + rows_of(unless), 2 * ROW.itemsize)
    ours, theirs = Buckets(folder, "ours", ROW, count), Buckets(folder, "theirs", ROW, count)
    _spill(dropped, "id", None, ours)
    _spill(unless, "id", None, theirs)
    only: npt.NDArray[np.bool_] = disk_array(folder / "only", np.bool_, rows)
    for bucket in range(count):
        found = ours.take(bucket)
        only[found["row"]] = match(found["id"], theirs.take(bucket)["id"]) < 0
    return only


def _spill(table: Input, column: str, chosen: npt.NDArray[np.bool_] | None, into: Buckets) -> None:
    """The ids in a column with their rows; only those of chosen rows, and no empty ones."""
    first = 0
    for batch in read_table(table.folder, (column,)):
        rows = np.arange(first, first + batch.num_rows)
        ids, first = batch.column(column), first + batch.num_rows
        some = pc.greater(pc.utf8_length(ids), 0).to_numpy(zero_copy_only=False)
        some = some if chosen is None else some & chosen[rows]
        records = np.empty(int(some.sum()), ROW)
        records["id"], records["row"] = id_words(ids.filter(pa.array(some)), table.run), rows[some]
        into.add(leading(records["id"][:, 0], into.count), records)


@final
class _StandIns:
    """Source and domain of the document that stands for each chosen row of `dropped`."""

    def __init__(self, dropped: Input, documents: Input, only: npt.NDArray[np.bool_], folder: Path) -> None:
        self._sources, self._domains = Codes(), Codes()
        rows = rows_of(dropped)
        count = buckets_for(rows + rows_of(documents), 2 * ROW.itemsize)
        wanted, known = Buckets(folder, "wanted", ROW, count), Buckets(folder, "known", ORIGIN, count)
        _spill(dropped, "stands_for", only, wanted)
        self._spill_origins(documents, known)
        self._codes: npt.NDArray[np.int32] = disk_array(folder / "codes", np.int32, rows, 2)
        self._codes[:] = NOBODY
        for bucket in range(count):
            self._join(wanted.take(bucket), known.take(bucket), documents)

    def names(self, rows: npt.NDArray[np.integer]) -> tuple[pa.StringArray, pa.StringArray]:
        """Of some rows; empty where no document stands for them."""
        codes = self._codes[rows]
        return self._texts(self._sources, codes[:, 0]), self._texts(self._domains, codes[:, 1])

    def _texts(self, codes: Codes, found: npt.NDArray[np.int32]) -> pa.StringArray:
        return pa.array([*codes.names, ""], pa.string()).take(pa.array(found % (len(codes.names) + 1)))

    def _spill_origins(self, documents: Input, into: Buckets) -> None:
        for batch in read_table(documents.folder, ("id", "source", "domain")):
            records = np.empty(batch.num_rows, ORIGIN)
            records["id"] = id_words(batch.column("id"), documents.run)
            records["source"] = self._sources.of(batch.column("source"))
            records["domain"] = self._domains.of(batch.column("domain"))
            into.add(leading(records["id"][:, 0], into.count), records)

    def _join(self, wanted: Records, known: Records, documents: Input) -> None:
        places = match(wanted["id"], known["id"])
        if (places < 0).any():
            name = id_texts(wanted["id"][places < 0][:1])[0].as_py()
            raise ArtifactError(
                f"{name} stands for a dropped document and is not in {documents.ref}; `documents` must be those that"
                " the stage of `dropped` kept"
            )
        self._codes[wanted["row"], 0] = known["source"][places]
        self._codes[wanted["row"], 1] = known["domain"][places]


@final
class _Crossed:
    """How many of each name have a stand-in of each name."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}

    def add(self, gone: pa.StringArray, by: pa.StringArray) -> None:
        pairs = pa.table({"gone": gone, "by": by}).group_by(["gone", "by"]).aggregate([([], "count_all")])
        for row in pairs.to_pylist():
            self._counts.setdefault(row["gone"], Counter())[row["by"]] += row["count_all"]

    def metrics(self) -> dict[str, JsonValue]:
        return {name: by_domain(counts) for name, counts in sorted(self._counts.items())}
