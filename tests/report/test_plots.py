"""Plots and tables of claims over seeds, from made-up results: what stands on them, and that they are kept current."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from engine.artifacts.recorded import Recorded, RecordedData, recorded_text
from engine.evaluate.statistics.judge import Draws, Statistics, side, weigh
from engine.evaluate.statistics.spec import Design
from engine.evaluate.verdict import Verdict, metrics, verdicts_digest
from engine.report.claims import claims_table, collect
from engine.report.plots import perplexities, plots
from engine.report.reproduce import pages, stale
from engine.report.svg import Mark, Row, Scale, Strip, draw
from engine.spec.canonical import pretty
from tests.cli.conftest import call

NAME = "dc-proxy"


def verdict(name: str, outcome: str, *effects: list[float], amended: str = "") -> Verdict:
    """A claim of a paper that `a` is lower than others; one list of differences for each of them."""
    design, region = Design(), side("lower", 0.0)
    statistics = Statistics(
        axis="seed",
        seeds=("1", "2", "3"),
        level=design.level,
        power=design.power,
        region=(region.low, region.high),
        arms=(Draws(of="p[mix=a]", values=(1.0, 2.0, 3.0)),),
        estimates=tuple(weigh(f"p[mix=a] - p[mix={n}]", values, region, design) for n, values in enumerate(effects)),
    )
    return Verdict.model_validate(
        {
            "id": name,
            "class": "paper",
            "says": f"{name} is so",
            "source": "Table 2",
            "check": "best",
            "verdict": outcome,
            "threshold": "p[mix=a,seed=*] loss is the lowest <of all>",
            "numbers": {"p[mix=a]": 2.0},
            "statistics": statistics if effects else None,
            "amended": amended,
        }
    )


def scores(*perplexity: float | None) -> dict[str, Any]:
    """What a perplexity stage reports; null where there was nothing to score."""
    domains = {name: {"token_perplexity": value} for name, value in zip(("code", "wiki"), perplexity, strict=True)}
    return {"metrics": {"all": {"tokens": 9}, "domains": domains}, "outputs": {"scores": "0"}}


@pytest.fixture(name="project")
def _project(tmp_path: Path) -> Path:
    """A project with one experiment: three claims over seeds, one without, and perplexities of two kinds of model."""
    results, specs = tmp_path / "data" / "results" / NAME, tmp_path / "specs" / "dc"
    results.mkdir(parents=True)
    specs.mkdir(parents=True)
    (specs / f"{NAME}.yaml").write_text(f"experiment: {NAME}\n")
    (specs / f"{NAME}.digests.json").write_text(
        recorded_text(Recorded(data={"rows": RecordedData(recipe="a" * 64, outputs={"rows": "b" * 64})}, trained={}))
    )
    verdicts = [
        verdict("s1", "holds", [-1.0, -1.1, -0.9]),
        verdict("s5", "undecided", [-1.0, 1.0, 0.5], amended="level was 0.99"),
        verdict("s6", "not reproduced", *([1.0 + n, 1.1 + n, 0.9 + n] for n in range(5))),
        verdict("s15", "holds"),
    ]
    text = pretty({"metrics": metrics(verdicts), "outputs": {"verdicts": verdicts_digest(verdicts)}})
    (results / "claims.json").write_text(text)
    cells = {f"mix=a,seed={seed}": scores(10.0 + seed, 100.0) for seed in (1, 2, 3)}
    (results / "perplexity.json").write_text(pretty(cells))
    (results / "raw.json").write_text(pretty(scores(30.0, None)))
    (results / "rows.json").write_text(pretty({"metrics": {"documents": {"wiki": 3}}, "outputs": {}}))
    return tmp_path


def test_the_page_tells_seeds_intervals_and_the_smallest_effect(project: Path) -> None:
    page = pages(project)["REPRODUCE.md"]
    assert "### Statements of papers: 2 of 4 hold, 1 not reproduced, 1 undecided" in page
    assert "| claim | verdict | wanted | found | seeds | interval | smallest effect | source |" in page
    assert page.count("An interval is Student's") == 1
    lines = {line.split(":")[0]: line for line in page.splitlines() if line.startswith("| s")}
    assert "| *holds* |" in lines["| s1"]
    assert "| seed 1, 2, 3 | -1 [-1.248, -0.7516] at 95% | 0.31 | Table 2 |" in lines["| s1"]
    assert "*undecided* (amended after a result was seen: level was 0.99)" in lines["| s5"]
    assert "p[mix=a] - p[mix=1]: 2 [1.752, 2.248]" in lines["| s6"]
    assert "; 2 more in the plot at 95%" in lines["| s6"]
    assert "| p[mix=a] 2 |  |  |  | Table 2 |" in lines["| s15"]


def test_the_terminal_tells_them_too(project: Path) -> None:
    text = claims_table(collect(project))
    assert "-1 [-1.248, -0.7516] at 95% over seed 1, 2, 3; smallest effect 0.31" in text
    assert "amended after a result was seen: level was 0.99" in text


def test_every_claim_over_seeds_has_a_plot_that_the_page_shows(project: Path) -> None:
    found = pages(project)
    folder = f"data/results/{NAME}/plots"
    names = ("perplexity", "s1", "s5", "s6")
    assert set(found) == {"REPRODUCE.md", *(f"{folder}/{name}.svg" for name in names)}
    assert all(f"![{name}]({folder}/{name}.svg)" in found["REPRODUCE.md"] for name in names)
    assert found == pages(project)


def test_a_plot_has_a_dot_and_a_line_for_each_estimate_and_a_ring_for_each_seed(project: Path) -> None:
    root = ElementTree.fromstring(pages(project)[f"data/results/{NAME}/plots/s6.svg"])
    tags = [child.tag.partition("}")[2] for child in root]
    texts = [child.text for child in root if child.tag.endswith("text")]
    assert tags.count("circle") == 5 * (1 + 3)
    assert sum(child.get("stroke-width") == "2" for child in root) == 5
    assert texts[:2] == ["s6: not reproduced", "wanted: p[mix=a,seed=*] loss is the lowest <of all>"]
    assert "95% intervals over 3 values of seed" in texts


def test_perplexities_are_by_kind_of_model_and_domain(project: Path) -> None:
    results = project / "data" / "results" / NAME
    assert perplexities(results) == {
        "perplexity[mix=a]": {"code": [11.0, 12.0, 13.0], "wiki": [100.0, 100.0, 100.0]},
        "raw": {"code": [30.0]},
    }
    (results / "raw.json").unlink()
    assert plots(results, []) == {}  # one kind of model stands beside nothing


def test_plots_are_written_checked_and_cleared_away(project: Path) -> None:
    wrong = call(project, "claims", "--check")
    assert (wrong.code, "are not current; run: facsimile claims --write" in wrong.out) == (1, True)
    assert call(project, "claims", "--write").code == 0
    assert call(project, "claims", "--check").out == "REPRODUCE.md is current\n"
    folder = project / "data" / "results" / NAME / "plots"
    (folder / "s1.svg").write_text("by hand")
    (folder / "gone.svg").write_text("of a claim that is no more")
    (folder / "s5.svg").unlink()
    named = [f"data/results/{NAME}/plots/{name}.svg" for name in ("gone", "s1", "s5")]
    assert stale(project, pages(project)) == named
    told = json.loads(call(project, "claims", "--check", "--json").out)
    assert told == {"current": False}
    call(project, "claims", "--write")
    assert stale(project, pages(project)) == []
    assert not (folder / "gone.svg").exists()


@pytest.mark.parametrize(
    ("numbers", "logarithmic", "ticks"),
    [
        ([0.0, 10.0], False, [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]),
        ([-0.3, 0.2], False, [-0.3, -0.2, -0.1, 0.0, 0.1, 0.2]),
        ([12.0, 300.0], True, [20.0, 50.0, 100.0, 200.0]),
        ([100.0, 110.0], True, [100.0, 102.0, 104.0, 106.0, 108.0, 110.0]),
        ([5.0, 5.0], False, [5.0]),
    ],
)
def test_ticks_are_round(numbers: list[float], logarithmic: bool, ticks: list[float]) -> None:
    assert Scale(numbers, logarithmic).ticks() == pytest.approx(ticks)


def test_more_kinds_than_colours_are_told_apart_by_their_form() -> None:
    marks = tuple(Mark(float(n), colour=n) for n in range(10))
    text = draw(Strip("t", "a", "x", (Row("r", marks),), legend=tuple(map(str, range(10)))))
    assert (text.count("<circle"), text.count("<path")) == (16, 4)
