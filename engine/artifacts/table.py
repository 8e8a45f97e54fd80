"""A table as it is written: row groups of bounded size cut by content alone, Parquet parts, digests on the way."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.artifacts.digest import FileDigest, HashingFile
from engine.artifacts.manifest import TablePart
from engine.artifacts.rows import TableHasher, row_bytes
from engine.artifacts.writer import Writer

GROUP_BYTES = 8 << 20  # canonical bytes of a row group: what a reader holds at once
GROUP_ROWS = 1 << 16
PART_BYTES = 512 << 20
BATCH_ROWS = 4096  # rows whose canonical bytes are in memory at once


@final
class TableWriter(Writer):
    """Writes batches; memory is one row group. Row groups depend on the rows only, never on how they came."""

    def __init__(
        self, folder: Path, schema: pa.Schema, finished: Callable[[TablePart, Mapping[str, FileDigest]], None]
    ) -> None:
        self._folder, self._schema, self._finished = folder, schema.remove_metadata(), finished
        self._hasher = TableHasher(schema)
        self._files: dict[str, FileDigest] = {}
        self._group: list[pa.RecordBatch] = []
        self._group_rows = self._group_bytes = 0
        self._file: HashingFile | None = None
        self._parquet: pq.ParquetWriter | None = None
        self._open()

    @property
    def rows(self) -> int:
        """Rows written so far."""
        return self._hasher.rows

    def write(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Appends rows; the schema must be the table's."""
        for piece in batch.to_batches() if isinstance(batch, pa.Table) else [batch]:
            assert piece.schema.equals(self._schema), f"schema {piece.schema}, expected {self._schema}"
            step = min(BATCH_ROWS, max(1, GROUP_BYTES * piece.num_rows // max(piece.nbytes, 1)))
            for begin in range(0, piece.num_rows, step):
                self._append(piece.slice(begin, step))

    def close(self) -> None:
        """Writes the last row group, and makes the table durable."""
        if self._file is None:
            return
        self._write_group()
        self._close_part()
        self._finished(self._hasher.part(), self._files)

    def abort(self) -> None:
        """Closes the file as it is; the table is not finished."""
        if self._file is not None and self._parquet is not None:
            self._parquet.is_open = False  # or it would write its footer when it is collected
            self._file.abort()
            self._file = None

    def _append(self, batch: pa.RecordBatch) -> None:
        rows = row_bytes(batch)
        self._hasher.update(rows)
        begin, count = 0, batch.num_rows
        while begin < count:
            end = self._group_end(rows.offsets, begin)
            self._group.append(batch.slice(begin, end - begin))
            self._group_rows += end - begin
            self._group_bytes += int(rows.offsets[end] - rows.offsets[begin])
            if self._group_bytes >= GROUP_BYTES or self._group_rows >= GROUP_ROWS:
                self._write_group()
            begin = end

    def _group_end(self, offsets: np.ndarray, begin: int) -> int:
        """The row after the one that fills the open row group, or the end of the batch."""
        full = offsets[begin] + GROUP_BYTES - self._group_bytes
        by_bytes = int(np.searchsorted(offsets, full, side="left"))
        return min(max(by_bytes, begin + 1), begin + GROUP_ROWS - self._group_rows, len(offsets) - 1)

    def _write_group(self) -> None:
        if not self._group:
            return
        assert self._parquet is not None and self._file is not None
        table = pa.Table.from_batches(self._group, self._schema).combine_chunks()
        self._parquet.write_table(table, row_group_size=max(self._group_rows, 1))
        self._group, self._group_rows, self._group_bytes = [], 0, 0
        if self._file.tell() >= PART_BYTES:
            self._close_part()
            self._open()

    def _open(self) -> None:
        self._file = HashingFile(self._folder / f"part-{len(self._files):05d}.parquet", sha256=False)
        self._parquet = pq.ParquetWriter(
            self._file,
            self._schema,
            version="2.6",
            compression="zstd",
            compression_level=3,
            use_dictionary=True,
            store_schema=False,
            write_page_checksum=True,
        )

    def _close_part(self) -> None:
        assert self._parquet is not None and self._file is not None
        self._parquet.close()
        self._file.close()
        self._files[self._file.path.name] = self._file.result()
        self._file = self._parquet = None
