"""Rows of a table found by the value of one column; row groups that cannot hold it are passed over unread."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.spec.errors import ArtifactError

Key = int | str


def find(folder: Path, column: str, values: Collection[Key], columns: Sequence[str]) -> Iterator[pa.Table]:
    """The rows whose `column` is one of `values`, in order; memory is one row group. ArtifactError for damage."""
    paths = sorted(folder.glob("part-*.parquet"))
    if not paths:
        raise ArtifactError(f"{folder} holds no table (no part-*.parquet); build it again")
    for path in paths:
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                yield from _find(file, column, sorted(values), columns)
        except (pa.ArrowException, OSError) as error:
            raise ArtifactError(f"{path} is damaged ({error}); build it again") from error


def _find(file: pq.ParquetFile, column: str, values: list[Key], columns: Sequence[str]) -> Iterator[pa.Table]:
    if not values:
        return
    place = file.schema_arrow.get_field_index(column)
    wanted = pa.array(values, file.schema_arrow.field(column).type)
    for group in range(file.num_row_groups):
        known = file.metadata.row_group(group).column(place).statistics
        if known is not None and known.has_min_max and (values[-1] < known.min or known.max < values[0]):
            continue
        found = pc.is_in(file.read_row_group(group, [column]).column(column), value_set=wanted)
        if pc.any(found).as_py():
            yield file.read_row_group(group, list(columns)).filter(found)
