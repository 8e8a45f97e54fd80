"""The claims table and REPRODUCE.md: rendered from what git keeps, class by class, the same every time."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from engine.artifacts.recorded import (
    Recorded,
    RecordedData,
    RecordedToolchain,
    RecordedTrained,
    load_recorded,
    recorded_text,
)
from engine.evaluate.verdict import Verdict, metrics, verdicts_digest
from engine.report.claims import claims_table, collect
from engine.report.reproduce import headline, render
from engine.spec.canonical import digest as digest_of
from engine.spec.canonical import pretty
from engine.spec.errors import ArtifactError, SpecError

LEFT, RIGHT = "a" * 64, "b" * 64


def verdict(id_: str, class_: str, outcome: str) -> dict[str, Any]:
    return {
        "id": id_,
        "class": class_,
        "says": f"{id_} is so",
        "source": "Table 2 | page 3",
        "check": "at_most",
        "verdict": outcome,
        "threshold": "left <= 0.5 * right",
        "numbers": {"left": 1.23456789, "digest": LEFT},
    }


def result_text(items: list[dict[str, Any]]) -> str:
    """A result file as a build leaves it."""
    verdicts = [Verdict.model_validate(item) for item in items]
    return pretty({"metrics": metrics(verdicts), "outputs": {"verdicts": verdicts_digest(verdicts)}})


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    """A project of two papers, one with claims and recorded digests."""
    folder = tmp_path / "project"
    for paper, experiment in (("k2", "k2-proxy"), ("mtl", "mtl-proxy")):
        (folder / "specs" / paper).mkdir(parents=True)
        (folder / "specs" / paper / f"{experiment}.yaml").write_text(f"experiment: {experiment}\n")
    results = folder / "data" / "results" / "k2-proxy"
    results.mkdir(parents=True)
    verdicts = [
        verdict("loss", "paper", "not reproduced"),
        verdict("order", "paper", "holds"),
        verdict("resume", "invariant", "holds"),
        verdict("spikes", "lore", "fails"),
    ]
    (results / "claims.json").write_text(result_text(verdicts))
    recorded = Recorded(
        data={"rows": RecordedData(recipe=LEFT, outputs={"rows": RIGHT})},
        trained={
            "c" * 64: RecordedToolchain(
                facts={"torch": "2.13"},
                runs={
                    "stage1": RecordedTrained(
                        recipe=LEFT, outputs={"step-9": RIGHT}, content=LEFT, metrics={"loss": 2.5}
                    )
                },
            )
        },
    )
    (folder / "specs" / "k2" / "k2-proxy.digests.json").write_text(recorded_text(recorded))
    return folder


def test_claims_are_listed_and_counted_class_by_class(root: Path) -> None:
    text = claims_table(collect(root))
    assert "Statements of papers: 1 of 2 hold, 1 not reproduced" in text
    assert "Invariants of this engine: 1 of 1 hold" in text
    assert "Lore of the field: 0 of 1 hold, 1 failing" in text
    assert "found digest aaaaaaaaaaaa, left 1.23457" in text


def test_claims_of_one_paper(root: Path) -> None:
    assert len(collect(root, "k2")) == 4
    assert collect(root, "mtl") == ()
    assert "no claim has been checked yet" in claims_table(collect(root, "mtl"))
    with pytest.raises(SpecError, match="did you mean 'mtl'"):
        collect(root, "mtk")


def test_rows_are_plain_data(root: Path) -> None:
    data = collect(root)[0].data()
    assert (data["paper"], data["experiment"], data["class"]) == ("k2", "k2-proxy", "paper")


def test_a_damaged_result_file_is_named(root: Path) -> None:
    path = root / "data" / "results" / "k2-proxy" / "claims.json"
    path.write_text("{}")
    with pytest.raises(ArtifactError, match=r"claims\.json"):
        collect(root)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ('"verdict": "not reproduced"', '"verdict": "holds"'),
        ("1.23456789", "1.23456788"),
        ('"spikes is so"', '"spikes are so"'),
        ('"fails": 1', '"holds": 1'),
        ('"verdicts": "', '"verdicts": "0'),
        ('"outputs"', '"outcomes"'),
    ],
)
def test_a_result_file_edited_by_hand_is_refused(root: Path, was: str, now: str) -> None:
    path = root / "data" / "results" / "k2-proxy" / "claims.json"
    text = path.read_text()
    assert was in text
    path.write_text(text.replace(was, now, 1))
    for reading in (collect, render):
        with pytest.raises(ArtifactError, match=r"k2-proxy/claims\.json .*dvc repro k2-proxy-claims"):
            reading(root)


@pytest.mark.parametrize("trained", [False, True])
def test_verdicts_that_are_not_those_recorded_are_kept_off_the_page(root: Path, trained: bool) -> None:
    path = root / "specs" / "k2" / "k2-proxy.digests.json"
    right, before = verdicts_digest(row.verdict for row in collect(root)), load_recorded(path)
    ((chain, known),) = before.trained.items()
    for digest, fits in ((right, True), (LEFT, False)):
        outputs = {"verdicts": digest}
        if trained:
            runs = known.runs | {"claims": known.runs["stage1"].replace(outputs=outputs)}
            now = before.replace(trained={chain: known.replace(runs=runs)})
        else:
            now = before.replace(data=before.data | {"claims": RecordedData(recipe=LEFT, outputs=outputs)})
        path.write_text(recorded_text(now))
        if fits:
            assert "*not reproduced*" in render(root)
        else:
            with pytest.raises(ArtifactError, match=r"k2-proxy/claims\.json .*`facsimile record k2-proxy`"):
                render(root)


def test_the_page_has_the_digests_the_results_and_the_claims(root: Path) -> None:
    page = render(root)
    assert f"| rows | rows | `{RIGHT[:12]}` |" in page
    assert f"| stage1 | step-9 | `{RIGHT[:12]}` |" in page
    assert "| stage | of | loss |\n| --- | --- | --- |\n| stage1 |  | 2.5 |" in page
    assert "### Statements of papers: 1 of 2 hold, 1 not reproduced" in page
    assert "| order: order is so | *holds* |" in page
    assert "Table 2 \\| page 3" in page


def test_many_cells_of_a_stage_share_a_row_and_leave_their_numbers_in_its_result(root: Path) -> None:
    path = root / "specs" / "k2" / "k2-proxy.digests.json"
    before = load_recorded(path)
    ((chain, known),) = before.trained.items()
    for cells in (12, 13):
        runs = {f"p[seed={n}]": known.runs["stage1"].replace(outputs={"scores": LEFT}) for n in range(cells)}
        path.write_text(recorded_text(before.replace(trained={chain: known.replace(runs=known.runs | runs)})))
        page = render(root)
        assert ("| p[seed=3] | scores |" in page) == ("| p[seed=3] |  | 2.5 |" in page) == (cells == 12)
    digest = digest_of({f"p[seed={n}]": LEFT for n in range(13)})
    assert f"| p, 13 cells: of their digests | scores | `{digest[:12]}` |" in page
    assert "The numbers of every cell are in `data/results/k2-proxy/p.json`." in page
    assert f"| stage1 | step-9 | `{RIGHT[:12]}` |" in page


def test_the_page_does_not_depend_on_where_the_project_lies(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root, tmp_path / "elsewhere")
    assert render(tmp_path / "elsewhere") == render(root)


def test_the_first_line_counts_published_results(root: Path) -> None:
    assert (
        render(root)
        .splitlines()[0]
        .startswith("# 0 of 0 published results were re-trained at published scale: no paper's numbers")
    )
    states = ["ready, not run", "derived from the spec", "re-trained at published scale"]
    lines = ["results:", *(f"- {{id: r{n}, state: '{state}'}}" for n, state in enumerate(states))]
    (root / "specs" / "k2" / "published.yaml").write_text("\n".join(lines) + "\n")
    assert render(root).splitlines()[0] == "# 1 of 3 published results were re-trained at published scale"


@pytest.mark.parametrize("text", ["results: 3\n", "- a\n", "results: [{id: x}]\n", "results: [\n", ""])
def test_published_numbers_without_a_state_are_the_authors_error(root: Path, text: str) -> None:
    (root / "specs" / "k2" / "published.yaml").write_text(text)
    with pytest.raises(SpecError, match=r"published\.yaml"):
        headline(root)


def test_a_project_without_any_result_still_has_a_page(tmp_path: Path) -> None:
    assert "make repro" in render(tmp_path)
