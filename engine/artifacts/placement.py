"""Where and how a run is placed: folders, mirrors, workers. Given at run time, and never able to change a bit."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Placement:
    """The folders of a project and the number of worker processes."""

    root: Path  # the project folder
    artifacts: Path  # <root>/data/artifacts, or a scratch folder for verify
    sources: Path  # <root>/data/sources
    results: Path | None  # <root>/data/results; None for verify
    mirrors: tuple[Path, ...] = ()
    workers: int = 1
