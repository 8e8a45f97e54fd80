"""Each check over repeated runs holds, is not reproduced and stays undecided on made-up numbers of finished runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.artifacts.manifest import Manifest, Output, content_digest
from engine.artifacts.read import Input, Inputs
from engine.evaluate.checks import check, check_claims
from engine.evaluate.finding import Finding
from engine.evaluate.spec import Claim, Claims
from engine.evaluate.verdict import Verdict, metrics, verdict_json
from engine.spec.canonical import canonical
from engine.spec.errors import ArtifactError
from engine.spec.ref import Ref, is_named
from engine.spec.refs import references

ZERO = "0" * 64
KEY = "domains.*.token_perplexity"

Runs = Mapping[str, Mapping[str, Any]]  # `stage[cell]` -> metrics


def ran(run: str, metrics: Mapping[str, Any]) -> Input:
    """A finished run that reported these metrics; all outputs have one name."""
    outputs = {"scores": Output(digest=ZERO, parts={})}
    manifest = Manifest(
        format=1,
        run=f"toy/{run}",
        recipe=ZERO,
        code=ZERO,
        content=content_digest(outputs, metrics),
        stage={"kind": "test"},
        inputs={},
        outputs=outputs,
        metrics=dict(metrics),
    )
    return Input(f"{run}@scores", manifest.run, "scores", Path(), ZERO, manifest)


def inputs(wanted: Any, runs: Runs) -> Inputs:
    """The runs that each reference names."""
    found: dict[str, tuple[Input, ...]] = {}
    for _, ref in references(wanted):
        stage, cell, _ = Ref(ref).parts
        cells = {run: (run.partition("[")[0], run.partition("[")[2].removesuffix("]")) for run in runs}
        found[ref] = tuple(
            ran(run, runs[run])
            for run, (of, own) in cells.items()
            if of == stage and (own == cell or is_named(own, cell))
        )
    return Inputs(found)


def found(wanted: dict[str, Any], runs: Runs) -> Finding:
    claim = {"id": "one", "class": "paper", "says": "it is so", "check": wanted}
    parsed = Claim.model_validate_json(canonical(claim)).check
    return check(parsed, inputs(parsed, runs), Path())


def perplexities(**mixes: list[float]) -> dict[str, dict[str, Any]]:
    """Runs of a stage `p` with axes mix and seed; two domains whose mean is the number."""
    return {
        f"p[mix={mix},seed={seed}]": {
            "domains": {"code": {"token_perplexity": value - 1}, "wiki": {"token_perplexity": value + 1}}
        }
        for mix, values in mixes.items()
        for seed, value in enumerate(values, 1)
    }


def of(mix: str, **more: Any) -> dict[str, Any]:
    return {"of": f"p[mix={mix},seed=*]@scores", "key": KEY, **more}


PAIRED = {"kind": "paired", "left": of("b"), "right": of("a"), "left_is": "lower"}


@pytest.mark.parametrize(
    ("b", "verdict"),
    [
        ([18.0, 19.1, 16.9], "yes"),  # seeds differ by 1, the difference hardly does
        ([22.0, 23.1, 20.9], "no"),
        ([18.0, 23.0, 19.0], "undecided"),
    ],
)
def test_paired_takes_differences_between_runs_of_one_seed(b: list[float], verdict: str) -> None:
    finding = found(PAIRED, perplexities(a=[20.0, 21.0, 19.0], b=b))
    assert finding.holds == verdict
    assert finding.statistics is not None
    (estimate,) = finding.statistics.estimates
    assert estimate.values == pytest.approx([value - a for value, a in zip(b, [20.0, 21.0, 19.0], strict=True)])
    assert finding.statistics.seeds == ("1", "2", "3")
    assert [arm.of for arm in finding.statistics.arms] == ["p[mix=b]", "p[mix=a]"]
    assert finding.numbers == pytest.approx({"p[mix=b]": sum(b) / 3, "p[mix=a]": 20.0})
    assert finding.threshold == f"p[mix=b,seed=*] {KEY} - p[mix=a,seed=*] {KEY} < 0"


@pytest.mark.parametrize(("than", "verdict"), [(0.0, "no"), (0.02, "yes"), (0.01, "undecided")])
def test_a_relative_margin_allows_to_be_a_little_worse(than: float, verdict: str) -> None:
    wanted = {**PAIRED, "relative": True, "than": than}
    finding = found(wanted, perplexities(a=[20.0, 20.0, 20.0], b=[20.19, 20.20, 20.21]))
    assert finding.holds == verdict
    assert finding.statistics is not None
    assert finding.statistics.estimates[0].mean == pytest.approx(0.01)


def test_seeds_of_another_stage_are_matched() -> None:
    runs = perplexities(b=[1.5, 2.4, 3.5]) | {f"raw[seed={n}]": {"loss": float(n + 1)} for n in (3, 2, 1)}
    finding = found({**PAIRED, "right": {"of": "raw[seed=*]@scores", "key": "loss"}}, runs)
    assert finding.statistics is not None
    assert finding.statistics.estimates[0].values == pytest.approx([-0.5, -0.6, -0.5])
    assert finding.holds == "yes"


BEST = {"kind": "best", "cell": of("b"), "others": [{"of": "p[*]@scores", "key": KEY}], "best": "lowest"}


@pytest.mark.parametrize(
    ("c", "verdict", "runner_up"),
    [
        ([21.0, 22.0, 20.0], "yes", "a"),
        ([18.1, 19.3, 16.8], "undecided", "c"),
        ([15.0, 16.0, 14.0], "no", "c"),
    ],
)
def test_the_best_is_better_than_the_runner_up(c: list[float], verdict: str, runner_up: str) -> None:
    finding = found(BEST, perplexities(a=[20.0, 21.0, 19.0], b=[18.0, 19.1, 16.9], c=c))
    assert finding.holds == verdict
    assert finding.statistics is not None
    assert finding.statistics.estimates[0].what == f"p[mix=b] - p[mix={runner_up}]"
    assert len(finding.statistics.estimates) == 2
    assert finding.threshold == f"p[mix=b,seed=*] {KEY} is the lowest of 3 cells"


@pytest.mark.parametrize(
    ("c", "verdict"), [([22.0, 23.1, 21.0], "yes"), ([19.0, 20.1, 18.0], "no"), ([20.0, 23.0, 19.0], "undecided")]
)
def test_ordered_numbers_rise_one_by_one(c: list[float], verdict: str) -> None:
    wanted = {"kind": "ordered", "rising": [of("b"), of("a"), of("c")]}
    assert found(wanted, perplexities(a=[20.0, 21.0, 19.0], b=[18.0, 19.1, 16.9], c=c)).holds == verdict


@pytest.mark.parametrize(("local", "verdict"), [(90, "yes"), (70, "no"), (80, "no")])
def test_runs_without_seeds_are_ordered_by_their_numbers(local: int, verdict: str) -> None:
    runs = {
        "unique[scope=global]": {"bytes": {"code": 30, "wiki": 50}},
        "unique[scope=local]": {"bytes": {"code": local - 50, "wiki": 50}},
        "raw": {"bytes": {"wiki": 100}},
    }
    refs = ("unique[scope=global]@scores", "unique[scope=local]@scores", "raw@scores")
    finding = found(
        {"kind": "ordered", "rising": [{"of": ref, "key": "bytes.*", "fold": {"kind": "sum"}} for ref in refs]}, runs
    )
    assert finding.holds == verdict
    assert finding.numbers == {"unique[scope=global]": 80.0, "unique[scope=local]": float(local), "raw": 100.0}
    assert finding.statistics is not None
    assert finding.statistics.seeds == ()
    assert finding.statistics.estimates[0].low is None


def test_a_share_may_be_held_against_a_part_of_another() -> None:
    """Short documents are less than a fifth of the duplicates, as shares of all."""
    runs = {
        "clean": {"documents": {"wiki": 97}, "dropped": {"short": {"wiki": 3}}},
        "unique": {"documents": {"wiki": 77}, "dropped": {"exact": {"wiki": 5}, "near": {"wiki": 15}}},
    }
    sums = {"fold": {"kind": "sum"}}

    def share(run: str, key: str, **more: Any) -> dict[str, Any]:
        whole = [{"of": f"{run}@scores", "key": name, **sums} for name in ("dropped.*.*", "documents.*")]
        return {"of": f"{run}@scores", "key": key, "over": whole, **sums, **more}

    rising = [share("clean", "dropped.short.*"), share("unique", "dropped.*.*", times=0.2)]
    finding = found({"kind": "ordered", "rising": rising}, runs)
    names = ("clean dropped.short.*", "unique dropped.*.*")
    assert finding.numbers == pytest.approx({names[0]: 0.03, names[1]: 0.2 * 20 / 97})
    assert finding.holds == "yes"
    assert "0.2 * unique dropped.*.* (sum) / (unique dropped.*.* (sum) + unique documents.* (sum))" in finding.threshold


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(17.0, 24.0, "yes"), (None, 24.0, "yes"), (24.0, None, "no"), (19.0, 21.5, "undecided")],
)
def test_a_bound_is_for_every_cell(low: float | None, high: float | None, verdict: str) -> None:
    wanted = {"kind": "bound", "of": [{"of": "p[*]@scores", "key": KEY}], "low": low, "high": high}
    assert found(wanted, perplexities(a=[20.0, 20.1, 19.9], b=[21.0, 21.7, 20.5])).holds == verdict


@pytest.mark.parametrize(
    ("globally", "verdict"),
    [([15.0, 16.1, 14.0], "yes"), ([22.0, 23.1, 21.0], "no"), ([15.0, 22.0, 18.0], "undecided")],
)
def test_an_interaction_is_a_difference_of_differences(globally: list[float], verdict: str) -> None:
    runs = perplexities(ga=[20.0, 21.0, 19.0], gb=globally, la=[20.0, 21.0, 19.0], lb=[19.0, 20.1, 18.0])
    pairs = {name: {"left": of(f"{name[0]}b"), "right": of(f"{name[0]}a")} for name in ("global", "local")}
    wanted = {"kind": "interaction", "first": pairs["global"], "second": pairs["local"], "first_is": "lower"}
    finding = found(wanted, runs)
    assert finding.holds == verdict
    assert finding.statistics is not None
    assert finding.statistics.estimates[0].values == pytest.approx(
        [b - lb for b, lb in zip(globally, [19.0, 20.1, 18.0], strict=True)]
    )


def ranked(loss: dict[str, list[float]], score: dict[str, list[float]], **more: Any) -> Finding:
    runs = {
        f"{stage}[mix={mix},seed={seed}]": {"x": value}
        for stage, cells in (("t", loss), ("p", score))
        for mix, values in cells.items()
        for seed, value in enumerate(values, 1)
    }
    sides = {name: [{"of": f"{stage}[*]@scores", "key": "x"}] for name, stage in (("x", "t"), ("y", "p"))}
    return found({"kind": "ranks", **sides, **more}, runs)


LOSS = {"a": [1.0, 1.1], "b": [2.0, 2.1], "c": [3.0, 3.1], "d": [4.0, 4.1]}


def test_ranks_are_correlated_seed_by_seed() -> None:
    same = ranked(LOSS, LOSS, low=-0.7, high=0.7)
    assert same.holds == "no"
    assert same.statistics is not None
    assert same.statistics.estimates[0].values == (1.0, 1.0)
    assert ranked(LOSS, LOSS, low=0.9).holds == "yes"
    other = {"a": [1.0, 4.0], "b": [2.0, 3.0], "c": [3.0, 2.0], "d": [4.0, 1.0]}  # 1 in one seed, -1 in the other
    assert ranked(LOSS, other, low=-0.7, high=0.7).holds == "undecided"


def test_a_claim_on_ranks_may_hold_as_another_cell_is_best() -> None:
    second = {"a": [2.0, 2.0], "b": [1.0, 1.0], "c": [3.0, 3.0], "d": [4.0, 4.0]}
    assert ranked(LOSS, second, low=-0.7, high=0.7).holds == "no"
    assert ranked(LOSS, second, low=-0.7, high=0.7, or_other_best="lowest").holds == "yes"
    assert ranked(LOSS, LOSS, low=-0.7, high=0.7, or_other_best="lowest").holds == "no"
    assert ranked(LOSS, LOSS, low=-0.7, high=0.7, or_other_best="highest").holds == "yes"
    once = {**second, "a": [0.5, 2.0]}
    assert ranked(LOSS, once, low=-0.7, high=0.7, or_other_best="lowest").holds == "undecided"


SHARES = {
    "kind": "shares",
    "part": {"of": "unique@scores", "key": "dropped_bytes"},
    "rest": {"of": "unique@scores", "key": "kept_bytes"},
    "highest": ["crawl", "code"],
}


@pytest.mark.parametrize(("wiki", "verdict"), [(10, "yes"), (400, "no")])
def test_shares_are_by_domain_and_in_percent(wiki: int, verdict: str) -> None:
    metrics = {
        "dropped_bytes": {"crawl": 60, "code": 20, "wiki": wiki},
        "kept_bytes": {"crawl": 40, "code": 30, "wiki": 90, "books": 5},
    }
    finding = found(SHARES, {"unique": metrics})
    assert finding.holds == verdict
    assert finding.numbers == pytest.approx(
        {"books %": 0.0, "code %": 40.0, "crawl %": 60.0, "wiki %": 100 * wiki / (wiki + 90)}
    )


def test_shares_want_domains_that_are_there_and_some_to_compare_with() -> None:
    metrics = {"dropped_bytes": {"crawl": 60}, "kept_bytes": {"code": 30, "crawl": 1}}
    with pytest.raises(ArtifactError, match="there are code, crawl, of which some must be left over"):
        found(SHARES, {"unique": metrics})
    with pytest.raises(ArtifactError, match="nothing by domain under 'kept_bytes'"):
        found(SHARES, {"unique": {"dropped_bytes": {"crawl": 1}}})


@pytest.mark.parametrize(("wiki", "verdict"), [(0.209, "yes"), (0.22, "no")])
def test_shares_of_two_runs_agree_within_a_distance(wiki: float, verdict: str) -> None:
    check = {
        "kind": "agree",
        "left": {"of": "rows@scores", "key": "share"},
        "right": {"of": "raw@scores", "key": "share"},
        "within": 0.01,
    }
    left, right = {"wiki": wiki, "web": 0.8}, {"wiki": 0.2, "web": 0.8}
    finding = found(check, {"rows": {"share": left}, "raw": {"share": right}})
    assert finding.holds == verdict
    assert finding.numbers["largest distance"] == pytest.approx(wiki - 0.2)
    assert found(check, {"rows": {"share": {}}, "raw": {"share": right}}).numbers["largest distance"] == 0.8


def bounded(key: str, metrics: dict[str, Any], **more: Any) -> float:
    """The number that a metric has."""
    wanted = {"kind": "bound", "of": [{"of": "mmlu@scores", "key": key, **more}], "high": 1e9}
    (number,) = found(wanted, {"mmlu": metrics}).numbers.values()
    assert isinstance(number, float)
    return number


MMLU = {"tasks": {"mmlu-law": {"acc": 0.25}, "mmlu-art": {"acc": 0.15}, "mmlu-sea": {"acc": 0.45}, "arc": {"acc": 0.9}}}


def test_rrgs_is_one_minus_the_mean_distance_from_chance() -> None:
    rrgs = {"kind": "rrgs"}
    assert bounded("tasks.mmlu-*.acc", MMLU, fold=rrgs) == pytest.approx(1 - (0.0 + 0.1 + 0.2) / 3)
    assert bounded("tasks.mmlu-law.acc", MMLU, fold=rrgs) == 1.0
    assert bounded("tasks.mmlu-*.acc", MMLU, fold=rrgs | {"choices": 2}) == pytest.approx(1 - (0.25 + 0.35 + 0.05) / 3)
    above, below = ({"tasks": {"a": {"acc": 0.25 + step}}} for step in (0.1, -0.1))
    assert bounded("tasks.*.acc", above, fold=rrgs) == pytest.approx(bounded("tasks.*.acc", below, fold=rrgs))


def test_a_key_may_name_several_numbers() -> None:
    assert bounded("tasks.arc|mmlu-law.acc", MMLU) == pytest.approx(1.15 / 2)
    assert bounded("tasks.*.acc", MMLU, fold={"kind": "largest"}) == 0.9
    assert bounded("tasks.gsm8k.match,strict", {"tasks": {"gsm8k": {"match,strict": 0.5}}}) == 0.5
    assert bounded("dropped.language.de.wiki", {"dropped": {"language.de": {"wiki": 3}}}) == 3
    assert bounded("dropped.short.*", {"dropped": {}}, absent="zero") == 0.0
    assert bounded("dropped.*.wiki", {"dropped": {"a": {"wiki": 2}, "b": {}}}, absent="zero", fold={"kind": "sum"}) == 2


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("tasks.bbh-*.acc", r"there is no 'bbh-\*'; it has arc, mmlu-art"),
        ("tasks.arc|piqa.acc", "there is no 'piqa'"),
        ("tasks.*", "not a number"),
        ("tasks.arc.acc.x", "nothing below it"),
    ],
)
def test_what_a_key_does_not_find_is_an_error(key: str, says: str) -> None:
    with pytest.raises(ArtifactError, match=says):
        bounded(key, MMLU)


def test_shares_of_nothing_and_ratios_to_zero_are_errors() -> None:
    whole = {"of": "mmlu@scores", "key": "none"}
    with pytest.raises(ArtifactError, match="divided by a sum that is 0"):
        bounded("some", {"some": 1, "none": 0}, over=[whole])
    with pytest.raises(ArtifactError, match="relative to it"):
        found({**PAIRED, "relative": True}, perplexities(a=[0.0, 0.0], b=[1.0, 2.0]))


def test_a_verdict_carries_its_statistics_and_what_was_amended() -> None:
    amended = "level was 0.99; no design of three seeds could decide it"
    claims = [
        {"id": "s1", "class": "paper", "says": "so", "amended": amended, "check": PAIRED},
        {"id": "s2", "class": "lore", "says": "so", "check": {**SHARES}},
    ]
    stage = Claims.model_validate_json(canonical({"kind": "claims", "claims": claims}))
    runs = perplexities(a=[20.0, 21.0, 19.0], b=[18.0, 23.0, 19.0]) | {
        "unique": {"dropped_bytes": {"crawl": 9, "code": 9}, "kept_bytes": {"crawl": 9, "code": 9, "wiki": 9}}
    }
    verdicts = check_claims(stage, inputs(stage, runs), Path())
    first, second = (verdict_json(verdict) for verdict in verdicts)
    assert (first["verdict"], first["amended"]) == ("undecided", amended)
    assert set(second) == {"id", "class", "says", "source", "check", "verdict", "threshold", "numbers"}
    assert [Verdict.model_validate_json(canonical(verdict)) for verdict in (first, second)] == verdicts
    assert metrics(verdicts)["counts"] == {"lore": {"holds": 1}, "paper": {"undecided": 1}}
