"""Rows of a table found by the value of one column; row groups that cannot hold it are passed over unread."""

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.spec.errors import ArtifactError

Key = int | str
Mask = Callable[[pa.ChunkedArray], pa.ChunkedArray]
LAST = "\U0010ffff"  # no text that begins with a prefix comes after the prefix and this


def find(folder: Path, column: str, values: Collection[Key], columns: Sequence[str]) -> Iterator[pa.Table]:
    """The rows whose `column` is one of `values`, in order; memory is one row group. ArtifactError for damage."""
    if not values:
        return
    wanted = sorted(values)

    def holds(found: pa.ChunkedArray) -> pa.ChunkedArray:
        return pc.is_in(found, value_set=pa.array(wanted, found.type))

    yield from _find(folder, column, (wanted[0], wanted[-1]), holds, columns)


def starting(folder: Path, column: str, prefix: str) -> list[str]:
    """The values of a column of texts that begin with a prefix, each once, sorted. ArtifactError for damage."""

    def holds(found: pa.ChunkedArray) -> pa.ChunkedArray:
        return pc.starts_with(found, pattern=prefix)

    tables = _find(folder, column, (prefix, prefix + LAST), holds, [column])
    return sorted({str(value) for table in tables for value in table.column(column).to_pylist()})


def nearest(folder: Path, column: str, text: str) -> list[str]:
    """The values that share the longest beginning with a text, if any; sorted."""
    short, long, found = 0, len(text), []
    while short < long:
        middle = (short + long + 1) // 2
        if values := starting(folder, column, text[:middle]):
            short, found = middle, values
        else:
            long = middle - 1
    return found


def _find(
    folder: Path, column: str, bounds: tuple[Key, Key], holds: Mask, columns: Sequence[str]
) -> Iterator[pa.Table]:
    paths = sorted(folder.glob("part-*.parquet"))
    if not paths:
        raise ArtifactError(f"{folder} holds no table (no part-*.parquet); build it again")
    for path in paths:
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                yield from _in_file(file, column, bounds, holds, columns)
        except (pa.ArrowException, OSError) as error:
            raise ArtifactError(f"{path} is damaged ({error}); build it again") from error


def _in_file(
    file: pq.ParquetFile, column: str, bounds: tuple[Key, Key], holds: Mask, columns: Sequence[str]
) -> Iterator[pa.Table]:
    place = file.schema_arrow.get_field_index(column)
    for group in range(file.num_row_groups):
        known = file.metadata.row_group(group).column(place).statistics
        if known is not None and known.has_min_max and (bounds[1] < known.min or known.max < bounds[0]):
            continue
        found = holds(file.read_row_group(group, [column]).column(column))
        if pc.any(found).as_py():
            yield file.read_row_group(group, list(columns)).filter(found)
