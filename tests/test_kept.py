"""What is built already is kept only while it is what it says, made of what lies beside it, by what computes now."""

import json
from pathlib import Path

import pyarrow as pa

from engine.artifacts.manifest import content_digest
from engine.artifacts.read import read_table
from engine.artifacts.store import Store
from tests.running import Project, flip_bit


def test_a_damaged_artifact_is_built_again_and_never_taken_for_built(undisturbed: Project, project: Project) -> None:
    flip_bit(project.artifact("unique/documents/part-00000.parquet"))
    said = project.dvc("repro", "toy-rows")
    assert "toy/unique: is damaged, building it again" in said
    assert "toy/unique: built" in said
    assert project.manifests("unique", "rows") == undisturbed.manifests("unique", "rows")
    assert "all whole" in project.facsimile("audit", "toy/rows@rows")


def replace_corpus(root: Path) -> None:
    """Puts an artifact of the same recipe with fewer documents in the place of `corpus`, whole and sealed."""
    store = Store(root / "data" / "artifacts")
    old = store.manifest("toy/corpus")
    assert old is not None
    rows = pa.Table.from_batches(read_table(store.folder("toy/corpus") / "documents")).slice(5)
    with store.begin("toy/corpus", "another", keep=False) as draft:
        with draft.table("documents", rows.schema) as table:
            table.write(rows)
        draft.close("documents")
        outputs = draft.outputs()
        content = content_digest(outputs, old.metrics)
        store.commit(draft, old.replace(outputs=outputs, content=content))


def test_what_was_made_of_other_inputs_is_built_again(project: Project) -> None:
    replace_corpus(project.root)
    broken = project.facsimile("audit", "toy/clean@documents", code=1)
    assert "build toy/clean again" in broken
    said = project.dvc("repro", "toy-clean")
    assert "toy/clean: was made of other inputs than lie here now; building it again" in said
    (project.root / "data/artifacts/toy/corpus.observation.json").unlink()  # it tells of the build that was replaced
    assert "all whole" in project.facsimile("audit", "toy/clean@documents")


def test_metrics_that_were_edited_are_found(project: Project) -> None:
    path = project.artifact("perplexity/manifest.json")
    manifest = json.loads(path.read_text())
    manifest["metrics"]["all"]["token_perplexity"] = 1.0
    path.write_text(json.dumps(manifest, sort_keys=True, indent=1, ensure_ascii=False) + "\n")
    said = project.facsimile("audit", "toy/perplexity@scores", code=1)
    assert "data/artifacts/toy/perplexity/manifest.json" in said


def test_a_computing_stage_believes_the_environment_and_not_a_mark(project: Project) -> None:
    project.remove("perplexity")
    said = project.build("perplexity", code=1, FACSIMILE_CLOSED="1", OMP_NUM_THREADS="2")
    assert "the environment is not closed (" in said
    assert "OMP_NUM_THREADS=2" in said
    assert not project.artifact("perplexity").exists()


def test_an_artifact_from_elsewhere_is_compared_but_not_recorded(project: Project) -> None:
    project.facsimile("record", "toy")
    (project.root / "data/artifacts/toy/train.observation.json").unlink()
    assert "10 of 10 stages as recorded" in project.facsimile("verify", "toy", "--built")
    said = project.facsimile("record", "toy", code=1)
    assert "does not tell which toolchain built toy/train" in said
