"""The claims of all experiments with their verdicts, as the last builds left them in data/results."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from engine.evaluate.statistics.judge import Estimate, Statistics
from engine.evaluate.verdict import VERDICTS, Outcome, Verdict, metrics, verdict_json, verdicts_digest
from engine.spec.errors import ArtifactError, SpecError
from engine.spec.nearest import did_you_mean

CLAIMS_FILE = "claims.json"
SHOWN = 3  # estimates of one claim in a table
CLASSES: tuple[Literal["paper", "invariant", "lore"], ...] = ("paper", "invariant", "lore")
CLASS_TITLES = {
    "paper": "Statements of papers",
    "invariant": "Invariants of this engine",
    "lore": "Lore of the field",
}
_OTHERS: tuple[tuple[Outcome, str], ...] = (
    ("not reproduced", "not reproduced"),
    ("fails", "failing"),
    ("undecided", "undecided"),
)


@final
@dataclass(frozen=True, slots=True)
class ClaimRow:
    """One claim of one experiment."""

    paper: str
    experiment: str
    verdict: Verdict

    def data(self) -> dict[str, JsonValue]:
        """The row as JSON data."""
        return {"paper": self.paper, "experiment": self.experiment, **verdict_json(self.verdict)}


class _Metrics(BaseModel):
    model_config = ConfigDict(extra="forbid")
    counts: dict[str, JsonValue]
    verdicts: dict[str, Verdict]


class _Results(BaseModel):
    model_config = ConfigDict(extra="ignore")
    metrics: _Metrics
    outputs: dict[str, str]


def collect(root: Path, paper: str | None = None) -> tuple[ClaimRow, ...]:
    """Every verdict in data/results, sorted by paper, experiment and id; of one paper if it is named."""
    papers = sorted(folder.name for folder in (root / "specs").glob("*") if folder.is_dir())
    if paper is not None and paper not in papers:
        known = ", ".join(papers) or "none"
        raise SpecError(f"no paper {paper!r} in {root / 'specs'}; there are {known}{did_you_mean(paper, papers)}")
    wanted = papers if paper is None else [paper]
    return tuple(row for name in wanted for row in _of_paper(root, name))


def _of_paper(root: Path, paper: str) -> list[ClaimRow]:
    rows = []
    for spec in sorted((root / "specs" / paper).glob("*.yaml")):
        path = root / "data" / "results" / spec.stem / CLAIMS_FILE
        if path.is_file():
            rows += [ClaimRow(paper, spec.stem, verdict) for verdict in read_verdicts(path)]
    return rows


def read_verdicts(path: Path) -> list[Verdict]:
    """The verdicts in a result file of a claims stage, sorted by id; ArtifactError when they are not as built."""
    mend = f"build it again: dvc repro {path.parent.name}-claims"
    try:
        results = _Results.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ArtifactError(f"{path} is no result of claims: {error.errors()[0]['msg']}; {mend}") from error
    verdicts = [results.metrics.verdicts[name] for name in sorted(results.metrics.verdicts)]
    told = {
        "counts": results.metrics.counts,
        "verdicts": {n: verdict_json(v) for n, v in results.metrics.verdicts.items()},
    }
    if metrics(verdicts) != told or results.outputs != {VERDICTS: verdicts_digest(verdicts)}:
        raise ArtifactError(f"{path} was changed after it was written: its verdicts have another digest; {mend}")
    return verdicts


def of_class(rows: Iterable[ClaimRow], name: str) -> list[ClaimRow]:
    """The rows of one class."""
    return [row for row in rows if row.verdict.class_ == name]


def count(rows: Sequence[ClaimRow]) -> str:
    """`3 of 4 hold, 1 failing`: of one class, never of several together."""
    counts = Counter(row.verdict.verdict for row in rows)
    others = [f", {counts[outcome]} {word}" for outcome, word in _OTHERS if counts[outcome]]
    return f"{counts['holds']} of {len(rows)} hold" + "".join(others)


def numbers_text(numbers: dict[str, JsonValue]) -> str:
    """Measured numbers on one line; a digest by its first 12 digits."""
    return ", ".join(f"{name} {_short(value)}" for name, value in numbers.items())


def _short(value: JsonValue) -> str:
    match value:
        case float():
            return f"{value:.6g}"
        case str() if re.fullmatch("[0-9a-f]{64}", value):
            return value[:12]
        case _:
            return str(value)


def interval_text(estimate: Estimate) -> str:
    """`-0.5 [-0.7, -0.3]`; of a run without seeds the number alone."""
    if estimate.low is None or estimate.high is None:
        return f"{estimate.mean:.4g}"
    return f"{estimate.mean:.4g} [{estimate.low:.4g}, {estimate.high:.4g}]"


def effect_text(statistics: Statistics) -> str:
    """The smallest effect that each estimate could have shown; the first ones where there are many."""
    effects = [f"{one.smallest_effect:.3g}" for one in shown(statistics) if one.smallest_effect is not None]
    return "; ".join(effects)


def intervals_text(statistics: Statistics) -> str:
    """What was estimated, with its intervals; the first ones where there are many."""
    first = shown(statistics)
    more = len(statistics.estimates) - len(first)
    told = [interval_text(one) if len(first) == 1 else f"{one.what}: {interval_text(one)}" for one in first]
    return "; ".join(told) + (f"; {more} more in the plot" if more else "")


def shown(statistics: Statistics) -> tuple[Estimate, ...]:
    """The estimates that stand in a table: the first ones, which decide where the claim is of a best cell."""
    return statistics.estimates[:SHOWN]


def claims_table(rows: Sequence[ClaimRow]) -> str:
    """The claims class by class, for people."""
    if not rows:
        return "no claim has been checked yet; `dvc repro` builds the experiments and checks them\n"
    lines = []
    for name in CLASSES:
        if mine := of_class(rows, name):
            lines.append(f"{CLASS_TITLES[name]}: {count(mine)}")
            lines += [line for row in mine for line in _lines(row)]
    return "\n".join(lines) + "\n"


def _lines(row: ClaimRow) -> list[str]:
    verdict, indent = row.verdict, " " * 16
    lines = [
        f"  {verdict.verdict:<14} {row.experiment}/{verdict.id}: {verdict.says}  [{verdict.source}]",
        f"{indent} wanted {verdict.threshold}; found {numbers_text(verdict.numbers)}",
    ]
    if verdict.statistics is not None and verdict.statistics.seeds:
        found = verdict.statistics
        lines.append(
            f"{indent} {intervals_text(found)} at {found.level:.0%} over {found.axis} {', '.join(found.seeds)}; "
            f"smallest effect {effect_text(found)}"
        )
    return lines + ([f"{indent} amended after a result was seen: {verdict.amended}"] if verdict.amended else [])
