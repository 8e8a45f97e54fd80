"""The errors a user can meet: SpecError for the author of a spec, ArtifactError for the state of the disk.

    FacsimileError
    |- SpecError       a spec, a name or a command line is wrong       (exit code 2)
    `- ArtifactError   something on disk, or fetched, is not as told   (exit code 1)

A broken assumption of the engine itself is an `assert`, never one of these.
"""

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a spec: where it stands, what was found, what is allowed and what to do."""

    message: str
    path: str = ""  # dotted path in the spec: stages.rows.row_tokens
    file: str = ""
    line: int = 0  # from 1; 0 means unknown
    column: int = 0  # from 1

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return ": ".join(part for part in (place, self.path, self.message) if part)


class FacsimileError(Exception):
    """The root of every error that is meant for a person."""


@final
class SpecError(FacsimileError):
    """The author's error; carries every problem found, in the order of the spec."""

    def __init__(self, *problems: Problem | str) -> None:
        self.problems = tuple(Problem(p) if isinstance(p, str) else p for p in problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


@final
class ArtifactError(FacsimileError):
    """An artifact, a source file or the store is not as it was recorded; says which file and what to do."""
