"""What a check found: whether the claim holds, what had to be true, and what was measured."""

from dataclasses import dataclass
from typing import final

from pydantic import JsonValue

from engine.evaluate.statistics.judge import Holds, Statistics


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of a check: `threshold` says what had to be true, `numbers` what was measured."""

    holds: Holds
    threshold: str
    numbers: dict[str, JsonValue]
    statistics: Statistics | None = None


def exactly(holds: bool, threshold: str, numbers: dict[str, JsonValue]) -> Finding:
    """The finding of a check that leaves nothing undecided."""
    return Finding("yes" if holds else "no", threshold, numbers)
