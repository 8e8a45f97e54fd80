"""The verdict on one claim, as it is kept: what was claimed, what was measured, and whether it holds."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import Field, JsonValue

from engine.artifacts.draft import json_part
from engine.artifacts.manifest import output_of
from engine.evaluate.statistics.judge import Statistics
from engine.spec.base import NEUTRAL, Spec
from engine.spec.canonical import plain

VERDICTS = "verdicts"
VERDICTS_FILE = "claims.json"

Outcome = Literal["holds", "fails", "not reproduced", "undecided"]


class Verdict(Spec):
    """A claim and its outcome: `not reproduced` for a paper's claim, `fails` for one of ours or of the field.

    `undecided` where the interval over seeds reaches to both sides of what had to be true.
    """

    id: str
    class_: Literal["paper", "invariant", "lore"] = Field(alias="class")
    says: str
    source: str
    check: str
    """The kind of check."""
    verdict: Outcome
    threshold: str
    """What had to be true, in words and numbers."""
    numbers: dict[str, JsonValue]
    """What was measured; over seeds, the mean of each cell."""
    statistics: Statistics | None = Field(default=None, json_schema_extra={NEUTRAL: None})
    """Seeds, intervals and the smallest effect, where runs were repeated."""
    amended: str = Field(default="", json_schema_extra={NEUTRAL: ""})
    """What was changed in the check after a first result was seen."""


def verdict_json(verdict: Verdict) -> dict[str, JsonValue]:
    """A verdict as JSON data."""
    data: dict[str, JsonValue] = plain(verdict)
    return data


def verdicts_json(verdicts: Iterable[Verdict]) -> list[dict[str, JsonValue]]:
    """What the output `verdicts` holds: sorted by id, so that the verdicts in the metrics say all of it."""
    return [verdict_json(verdict) for verdict in sorted(verdicts, key=lambda verdict: verdict.id)]


def verdicts_digest(verdicts: Iterable[Verdict]) -> str:
    """The content digest of the output `verdicts` that holds these."""
    return output_of({VERDICTS_FILE: json_part(verdicts_json(verdicts))}).digest


def metrics(verdicts: Sequence[Verdict]) -> dict[str, JsonValue]:
    """`counts` by class and verdict (classes are never added up), and every verdict under `verdicts` by its id."""
    counts = Counter((verdict.class_, verdict.verdict) for verdict in verdicts)
    by_class: dict[str, JsonValue] = {
        name: {outcome: n for (of, outcome), n in sorted(counts.items()) if of == name}
        for name in sorted({verdict.class_ for verdict in verdicts})
    }
    return {"counts": by_class, "verdicts": {verdict.id: verdict_json(verdict) for verdict in verdicts}}
