"""Costs of data stages: stated sizes by measured rates, reckoned by hand here; nothing where no size is stated."""

from pathlib import Path

import pytest

from engine.cli.project import Project
from engine.compile.estimate import rates
from engine.compile.estimate.data import NOTHING, read, stated
from engine.compile.state import core_hours, state_line
from engine.data.spec import Ingest

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = 931_361_530  # of RedPajama, as the published pipeline counts them
BYTES = 5_152_500_000_000


@pytest.fixture(scope="module")
def project() -> Project:
    return Project(ROOT)


def test_redpajama_costs_what_its_sizes_and_the_rates_say(project: Project) -> None:
    runs = project.plan("slimpajama-627b").runs
    clean, near, held = (runs[name].estimate for name in ("clean", "unique[scope=global]", "heldout"))
    assert clean.documents == DOCUMENTS
    assert clean.text_bytes == pytest.approx(BYTES, rel=1e-3)
    assert clean.seconds == pytest.approx(clean.text_bytes * (1 / 4.2e6 + 1 / 32e6))
    assert (near.documents, held.documents) == (round(DOCUMENTS * 0.9983), round(DOCUMENTS * 0.0017))
    assert near.scratch_bytes == near.documents * 782
    assert runs["bands"].estimate.artifact_bytes == DOCUMENTS * 204
    assert {run.estimate.worker_bytes for run in runs.values()} == {0, rates.HOST}


def test_the_hours_of_all_stages_are_told(project: Project) -> None:
    plan = project.plan("slimpajama-627b")
    hours = core_hours(plan.runs.values())
    assert 500 < hours < 160 * 24  # the published run: 2.5 days on 64 cores
    assert state_line(plan).endswith(f"; {hours:,.0f} core-hours of data stages")


def test_a_source_without_a_size_is_named_beside_those_that_have_one(project: Project) -> None:
    estimate = project.plan("txt360").runs["corpus"].estimate
    assert estimate.documents == 48_830_000_000
    assert "the documents of wikipedia" in estimate.unknown
    assert "the documents of common-crawl" not in estimate.unknown


def test_where_nothing_is_stated_nothing_is_reckoned(project: Project) -> None:
    run = project.plan("quickstart").runs["corpus"]
    assert isinstance(run.stage, Ingest)
    assert stated(run.stage.sources) == read(run.stage, {}) == NOTHING
    assert (run.estimate.seconds, run.estimate.documents, run.estimate.unknown) == (0.0, 0, ())
