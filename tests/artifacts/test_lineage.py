"""Lineage: the graph behind an artifact."""

import subprocess
import sys
from pathlib import Path

import pytest

from engine.artifacts.lineage import graph, stage_sources
from engine.spec.errors import ArtifactError
from tests.chain import Chain, make_chain


@pytest.fixture(name="chain")
def _chain(tmp_path: Path) -> Chain:
    return make_chain(tmp_path)


def test_graph_reaches_every_run_and_raw_file_once(chain: Chain) -> None:
    found = graph(chain.store, "toy/model")
    assert [node.run for node in found.runs] == ["toy/model", "toy/rows", "toy/clean", "toy/corpus"]
    assert [source.sha256 for source in found.sources] == list(chain.shas)
    assert [source.licence for source in found.sources] == ["MIT", "CC-BY-4.0"]
    assert {(edge.run, edge.source) for edge in found.edges} == {
        ("toy/model", "toy/rows"),
        ("toy/rows", "toy/clean"),
        ("toy/rows", "toy/corpus"),
        ("toy/clean", "toy/corpus"),
    }


def test_edges_and_nodes_carry_the_digests_of_the_manifests(chain: Chain) -> None:
    found = graph(chain.store, "toy/model")
    manifest = chain.store.manifest("toy/rows")
    assert manifest is not None
    (edge,) = found.inputs_of("toy/model")
    assert edge.digest == manifest.outputs["rows"].digest
    assert found.runs[1].recipe == manifest.recipe
    assert found.runs[1].content == manifest.content


def test_a_run_that_is_not_there_is_an_error(chain: Chain) -> None:
    with pytest.raises(ArtifactError, match="toy/nothing"):
        graph(chain.store, "toy/nothing")


def test_a_damaged_run_on_the_way_is_a_node_with_a_problem(chain: Chain) -> None:
    (chain.store.folder("toy/clean") / "manifest.json").write_text("{}")
    found = graph(chain.store, "toy/model")
    assert "damaged" in next(node.problem for node in found.runs if node.run == "toy/clean")


def test_sources_are_found_wherever_a_stage_names_them() -> None:
    place = {"kind": "pypi", "name": "t", "package": "p==1", "file": "p.whl", "sha256": "0" * 64, "licence": "MIT"}
    (found,) = stage_sources({"kind": "tokenizer", "method": {"kind": "huggingface", "source": place}})
    assert found.uri == "pypi:p==1/p.whl"


@pytest.mark.parametrize(
    ("place", "uri"),
    [
        ({"kind": "apt", "package": "p", "pool": "pool/main/p", "file": "p_1_all.deb"}, "apt:pool/main/p/p_1_all.deb"),
        ({"kind": "hf", "dataset": "a/b", "revision": "0" * 40, "path": "c.parquet"}, f"hf:a/b@{'0' * 40}:c.parquet"),
        ({"kind": "file", "path": "texts/a.txt"}, "file:texts/a.txt"),
    ],
)
def test_the_place_of_a_source_is_whole(place: dict[str, str], uri: str) -> None:
    (found,) = stage_sources({**place, "sha256": "0" * 64, "licence": "MIT", "name": "n"})
    assert (found.uri, found.name) == (uri, "n")


def test_lineage_needs_no_torch() -> None:
    code = "import sys, engine.report.lineage, engine.report.audit; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
