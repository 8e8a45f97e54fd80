"""Runs of rows of a table: what one worker is handed at a time. How a table is cut can change no byte of a result."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import pyarrow as pa
import pyarrow.parquet as pq

from engine.artifacts.placement import Placement
from engine.artifacts.read import Input
from engine.data.documents import COLUMNS, Document, documents_of
from engine.spec.errors import ArtifactError


@final
@dataclass(frozen=True, slots=True)
class Partition:
    """Rows `begin` to `end` of a row group; `first` is the position of row `begin` in the whole table."""

    path: Path
    group: int
    begin: int
    end: int
    first: int


def partitions(table: Input, placement: Placement) -> tuple[Partition, ...]:
    """A table in its order, at most a row group and at most `placement.partition_rows` rows at a time."""
    paths = sorted(table.folder.glob("part-*.parquet"))
    if not paths:
        raise ArtifactError(f"{table.folder} holds no table (no part-*.parquet); build it again")
    found: list[Partition] = []
    first = 0
    for path in paths:
        for group, rows in enumerate(_rows_of_groups(path)):
            most = placement.partition_rows or max(rows, 1)
            for begin in range(0, rows, most):
                end = min(begin + most, rows)
                found.append(Partition(path, group, begin, end, first + begin))
            first += rows
    return tuple(found)


def _rows_of_groups(path: Path) -> list[int]:
    try:
        described = pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise ArtifactError(f"{path} is damaged ({error}); build it again") from error
    return [described.row_group(group).num_rows for group in range(described.num_row_groups)]


def read_partition(partition: Partition, columns: Sequence[str]) -> pa.Table:
    """The rows of a partition. ArtifactError when the file cannot be read."""
    try:
        with pq.ParquetFile(partition.path, page_checksum_verification=True, pre_buffer=False) as file:
            whole = file.read_row_group(partition.group, columns=list(columns))
    except (pa.ArrowException, OSError) as error:
        raise ArtifactError(f"{partition.path} is damaged ({error}); build it again") from error
    return whole.slice(partition.begin, partition.end - partition.begin)


def documents_in(partition: Partition) -> Iterator[Document]:
    """The documents of a partition, in order."""
    for batch in read_partition(partition, COLUMNS).to_batches():
        yield from documents_of(batch)
