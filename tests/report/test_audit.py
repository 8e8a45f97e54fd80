"""Audit: a whole chain passes, and one flipped bit anywhere on it is found and named."""

import json
import shutil
from pathlib import Path

import pytest

from engine.artifacts.manifest import MANIFEST
from engine.artifacts.store import Store
from engine.report.audit import AuditReport, audit
from engine.spec.errors import SpecError
from tests.chain import Chain, documents, flip, make_chain, make_run

FILES = (
    "artifacts/toy/model/step-2/model.safetensors",
    "artifacts/toy/model/step-2/state.json",
    "artifacts/toy/model/log/steps.jsonl",
    "artifacts/toy/model/manifest.json",
    "artifacts/toy/model/seal.json",
    "artifacts/toy/rows/rows/ids.npy",
    "artifacts/toy/rows/manifest.json",
    "artifacts/toy/clean/documents/part-00000.parquet",
    "artifacts/toy/clean/manifest.json",
    "artifacts/toy/clean/seal.json",
    "artifacts/toy/corpus/documents/part-00000.parquet",
    "artifacts/toy/corpus/manifest.json",
    "artifacts/toy/corpus.observation.json",
)


@pytest.fixture(name="built", scope="module")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("chain")
    make_chain(root)
    return root


@pytest.fixture(name="chain")
def _chain(tmp_path: Path) -> Chain:
    return make_chain(tmp_path)


def audited(chain: Chain, fast: bool = False) -> AuditReport:
    return audit(chain.store, chain.sources, "toy/model", "step-2", fast)


def first_problems(report: AuditReport) -> str:
    assert report.first_broken is not None
    return "\n".join(report.first_broken.problems)


def test_a_whole_chain_passes_link_by_link(chain: Chain) -> None:
    report = audited(chain)
    assert report.passed
    assert [link.name for link in report.links] == [
        "toy/model",
        "toy/rows",
        "toy/clean",
        "toy/corpus",
        "raw-0",
        "raw-1",
    ]
    assert report.licences == {"CC-BY-4.0": ("raw-1",), "MIT": ("raw-0",)}
    assert report.text().endswith("toy/model@step-2: 6 links, all whole")
    assert json.loads(json.dumps(report.data()))["passed"] is True


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_bit_is_found_and_its_file_named(built: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(built, tmp_path / "chain")
    chain = Chain(Store(tmp_path / "chain" / "artifacts"), tmp_path / "chain" / "sources", ())
    path = tmp_path / "chain" / name
    size = path.stat().st_size
    for byte in sorted({0, 1, size // 7, size // 3, size // 2, 3 * size // 4, size - 2, size - 1}):
        for bit in (0, 6):
            flip(path, byte, bit)
            report = audited(chain)
            assert str(path) in first_problems(report), f"byte {byte}, bit {bit}\n{report.text()}"
            flip(path, byte, bit)
    assert audited(chain).passed


@pytest.mark.parametrize("byte", [0, 40, -1])
def test_a_flipped_bit_in_a_raw_file_is_found(chain: Chain, byte: int) -> None:
    path = chain.sources / chain.shas[1]
    flip(path, byte, 3)
    report = audited(chain)
    assert str(path) in first_problems(report)
    assert "raw-1.txt" in report.text()
    assert [link.name for link in report.links if link.problems] == ["raw-1"]


def test_a_raw_file_that_is_not_there_breaks_the_chain(chain: Chain) -> None:
    path = chain.sources / chain.shas[0]
    path.unlink()
    assert f"{path} is missing" in first_problems(audited(chain))
    assert "withheld" in first_problems(audited(chain))


def test_all_broken_links_are_listed_and_the_first_is_the_nearest_to_the_artifact(chain: Chain) -> None:
    near = chain.store.folder("toy/rows") / "rows" / "order.npy"
    far = chain.store.folder("toy/corpus") / "documents" / "part-00000.parquet"
    flip(near, -1, 0)
    flip(far, 100, 0)
    report = audited(chain)
    assert [link.name for link in report.links if link.problems] == ["toy/rows", "toy/corpus"]
    assert str(near) in first_problems(report)
    assert str(far) in report.text()


def test_a_damaged_manifest_ends_the_walk_and_says_so(chain: Chain) -> None:
    flip(chain.store.folder("toy/clean") / MANIFEST, 200, 0)
    report = audited(chain)
    assert "cannot be followed" in first_problems(report)
    assert "raw-0" in report.text()  # toy/rows reads toy/corpus besides


def test_an_input_built_again_with_other_content_is_found(chain: Chain) -> None:
    make_run(
        chain.store,
        "toy/clean",
        {"kind": "clean", "documents": "corpus@documents"},
        {"corpus@documents": (("toy/corpus", "documents"),)},
        documents("documents", 3),
    )
    report = audited(chain)
    assert "toy/rows read documents with content" in first_problems(report)
    assert [link.name for link in report.links if link.problems] == ["toy/clean"]


def test_an_input_built_by_another_recipe_is_found(chain: Chain) -> None:
    make_run(
        chain.store,
        "toy/clean",
        {"kind": "clean", "documents": "corpus@documents", "steps": 2},
        {"corpus@documents": (("toy/corpus", "documents"),)},
        documents("documents", 4),
    )
    assert "toy/rows read an artifact of recipe" in first_problems(audited(chain))


def test_toolchains_are_told_from_observations_and_an_artifact_without_one_is_whole(chain: Chain) -> None:
    assert "unicode" in audited(chain).text()
    for run in ("toy/model", "toy/rows", "toy/clean", "toy/corpus"):
        chain.store.observation(run).unlink()
    report = audited(chain)
    assert report.passed
    assert "toolchain" not in report.text()


def test_an_observation_of_another_build_is_found(chain: Chain) -> None:
    mine, other = chain.store.observation("toy/model"), chain.store.observation("toy/rows")
    mine.write_bytes(other.read_bytes())
    assert f"{mine} tells of another build" in first_problems(audited(chain))


def test_a_file_that_does_not_belong_is_found(chain: Chain) -> None:
    stranger = chain.store.folder("toy/rows") / "rows" / "notes.txt"
    stranger.write_text("mine")
    assert str(stranger) in first_problems(audited(chain))


def test_fast_reads_no_data_file_and_says_so(chain: Chain) -> None:
    tensors = chain.store.folder("toy/model") / "step-2" / "model.safetensors"
    flip(tensors, -1, 0)
    assert audited(chain, fast=True).passed
    assert "run without --fast" in audited(chain, fast=True).text()
    tensors.write_bytes(tensors.read_bytes()[:-1])
    assert str(tensors) in first_problems(audited(chain, fast=True))


def test_an_artifact_that_was_never_built_is_a_broken_link(chain: Chain) -> None:
    report = audit(chain.store, chain.sources, "toy/other", "", fast=False)
    assert "toy/other/manifest.json is missing" in first_problems(report)


def test_an_unknown_output_is_the_users_error(chain: Chain) -> None:
    with pytest.raises(SpecError, match="step-2"):
        audit(chain.store, chain.sources, "toy/model", "step-3", fast=False)
