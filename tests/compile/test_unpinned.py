"""Files of the hub that nobody has pinned: planned, told, never read; and the full-scale specs that stand on them."""

from pathlib import Path

import pytest

from engine.artifacts.draft import Draft
from engine.artifacts.placement import Placement
from engine.artifacts.read import Inputs
from engine.cli.project import Project
from engine.compile.launch import sbatch
from engine.compile.plan import Plan
from engine.compile.state import not_ready, state_line
from engine.data.run import run_ingest
from engine.data.spec import Ingest, PackPlan
from engine.spec.errors import ArtifactError
from engine.train.spec import TrainPlan

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS, BYTES = 931_361_530, 5_152_500_000_000  # of RedPajama, by the constants of the published pipeline
ROW = 2048


@pytest.fixture(scope="module")
def project() -> Project:
    return Project(ROOT)


def trained(plan: Plan) -> dict[str, TrainPlan]:
    return {name: run.stage for name, run in plan.runs.items() if isinstance(run.stage, TrainPlan)}


def test_an_unpinned_source_is_refused_before_anything_is_fetched(project: Project, tmp_path: Path) -> None:
    stage = project.plan("slimpajama-627b").runs["corpus"].stage
    assert isinstance(stage, Ingest)
    place = Placement(tmp_path, tmp_path, tmp_path / "sources", None)
    with pytest.raises(ArtifactError, match=r"no file of togethercomputer/RedPajama-Data-1T is pinned.*kind: hf"):
        run_ingest(stage, Inputs({}), Draft(tmp_path), place)
    assert not (tmp_path / "sources").exists()


def test_what_is_not_pinned_is_told_once_and_not_submitted(project: Project) -> None:
    plan = project.plan("slimpajama-627b")
    told = ("no file of togethercomputer/RedPajama-Data-1T is pinned by sha256",)
    tokenizer = ("no file of EleutherAI/gpt-neox-20b is pinned by sha256",)
    assert not_ready(plan) == told + tokenizer
    assert state_line(plan).startswith(f"not ready: {told[0]}, {tokenizer[0]}; ")
    assert sbatch(plan, ROOT).rstrip().endswith("exit 2")


def test_the_stated_sizes_of_redpajama_sum_to_the_published_ones(project: Project) -> None:
    stage = project.plan("slimpajama-627b").runs["corpus"].stage
    assert isinstance(stage, Ingest)
    stated = [source.stated for source in stage.sources if source.stated is not None]
    assert sum(one.documents for one in stated) == DOCUMENTS
    assert abs(sum(one.bytes for one in stated) - BYTES) < 1e9


def test_every_configuration_is_trained_on_330_b_tokens_with_the_published_sizes(project: Project) -> None:
    plan = project.plan("slimpajama-dc-1.3b")
    runs = trained(plan)
    assert len(runs) == 8
    for stage in runs.values():
        assert stage.parameters == 1_311_586_288
        assert stage.steps * stage.tokens_per_step == pytest.approx(330e9, rel=1e-5)
    packs = [run.stage for run in plan.runs.values() if isinstance(run.stage, PackPlan)]
    rows = {stage.steps * stage.batch.rows for stage in runs.values()}
    assert {stage.mix.rows for stage in packs if stage.mix.kind == "sample"} == rows


def test_weight_decay_of_the_large_batch_run_has_three_phases(project: Project) -> None:
    (stage,) = trained(project.plan("slimpajama-7b-lbs")).values()
    decays = [stage.optimizer.weight_decay, *(phase.weight_decay for phase in stage.optimizer.later_decays)]
    assert decays == [0.0, 0.5, 0.1]


def test_curated_sources_of_txt360_come_before_the_crawl(project: Project) -> None:
    plan = project.plan("txt360")
    for name in ("exact", "near"):
        stage = plan.runs[name].stage
        assert stage.kind == "dedup"
        assert (stage.keep.by, stage.keep.priority[-1], len(stage.keep.priority)) == ("source", "common-crawl", 11)
