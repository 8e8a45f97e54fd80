"""Where and how a run is placed: folders, mirrors, workers. Given at run time, and never able to change a bit."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.spec.layout import Layout


@dataclass(frozen=True, slots=True)
class Placement:
    """The folders of a project, and the workers of data stages with what each is handed at a time."""

    root: Path  # the project folder
    artifacts: Path  # <root>/data/artifacts, or a scratch folder for verify
    sources: Path  # <root>/data/sources
    results: Path | None  # <root>/data/results; None for verify
    mirrors: tuple[Path, ...] = ()
    workers: int = 1  # processes on this host, or pieces under way at a dask scheduler
    executor: Literal["process", "dask"] = "process"
    scheduler: str = ""  # address of a dask scheduler whose workers see the same folders
    layout: Layout | None = None  # of training stages under `regroup`; None: as the spec suggests
    partition_rows: int | None = None  # most rows of a table in one piece of work; None: a row group
