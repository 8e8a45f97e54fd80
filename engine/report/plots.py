"""Plots of an experiment, from what git keeps of it: the estimates of its claims, and perplexity by domain."""

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from engine.evaluate.statistics.judge import Statistics
from engine.evaluate.statistics.spec import Design
from engine.evaluate.verdict import Verdict
from engine.report.svg import Mark, Row, Strip, draw
from engine.spec.ref import axes_of

PLOTS = "plots"
PERPLEXITY = "perplexity"
SHOWN = 110  # characters of a line of text in a plot


class _Domain(BaseModel):
    model_config = ConfigDict(extra="ignore")
    token_perplexity: float | None


class _Scores(BaseModel):
    model_config = ConfigDict(extra="ignore")
    domains: dict[str, _Domain]


class _Run(BaseModel):
    model_config = ConfigDict(extra="ignore")
    metrics: _Scores


_CELLS = TypeAdapter(dict[str, _Run])
_RUN = TypeAdapter(_Run)


def plots(results: Path, verdicts: Iterable[Verdict]) -> dict[str, str]:
    """The plots of an experiment by their file name in `plots`; `results` is its folder in data/results."""
    found = {f"{v.id}.svg": draw(of_claim(v, v.statistics)) for v in verdicts if v.statistics is not None}
    scores = perplexities(results)
    if len(scores) > 1:
        found[f"{PERPLEXITY}.svg"] = draw(by_domain(scores))
    return found


def of_claim(verdict: Verdict, statistics: Statistics) -> Strip:
    """A row for each estimate, with its interval and a ring for each seed."""
    rows = [Row(_short(one.what), (Mark(one.mean, one.low, one.high, one.values),)) for one in statistics.estimates]
    axis = f"{statistics.level:.0%} intervals over {len(statistics.seeds)} values of {statistics.axis}"
    return Strip(
        title=f"{verdict.id}: {verdict.verdict}",
        about=_short(f"wanted: {verdict.threshold}"),
        axis=axis if statistics.seeds else "one run each",
        rows=tuple(rows),
        lines=tuple(end for end in statistics.region if end is not None),
    )


def by_domain(scores: Mapping[str, Mapping[str, list[float]]]) -> Strip:
    """A row for each domain, and in it the mean over seeds of each kind of model."""
    domains = sorted({domain for found in scores.values() for domain in found})
    rows = [Row(domain, tuple(_marks(domain, scores))) for domain in domains]
    return Strip(
        title="Held-out perplexity by domain",
        about="of a token; a ring for each seed",
        axis="perplexity, on a logarithmic scale",
        rows=tuple(rows),
        legend=tuple(scores),
        logarithmic=True,
    )


def _marks(domain: str, scores: Mapping[str, Mapping[str, list[float]]]) -> Iterator[Mark]:
    for colour, found in enumerate(scores.values()):
        if domain in found:
            values = found[domain]
            yield Mark(math.fsum(values) / len(values), values=tuple(values), colour=colour)


def perplexities(results: Path) -> dict[str, dict[str, list[float]]]:
    """By `stage[cell without its seed]` and domain, the token perplexities of all seeds."""
    found: dict[str, dict[str, list[float]]] = {}
    for path in sorted(results.glob("*.json")):
        for cell, run in _runs(path.read_bytes()).items():
            axes = {axis: value for axis, value in axes_of(cell).items() if axis != Design().axis}
            of = path.stem + (f"[{','.join(f'{axis}={value}' for axis, value in axes.items())}]" if axes else "")
            for domain, score in run.metrics.domains.items():
                if score.token_perplexity is not None:
                    found.setdefault(of, {}).setdefault(domain, []).append(score.token_perplexity)
    return found


def _runs(data: bytes) -> dict[str, _Run]:
    """The runs in a result file by their cells; none where it is of another kind of stage."""
    readers: tuple[TypeAdapter[Any], ...] = (_RUN, _CELLS)
    for reader in readers:
        try:
            run = reader.validate_json(data)
        except ValidationError:
            continue
        return run if isinstance(run, dict) else {"": run}
    return {}


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."
