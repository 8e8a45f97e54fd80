"""Loading: bases, cells, matched references, and where each value was set."""

from pathlib import Path

import pytest

from engine.experiment import Experiment
from engine.spec.errors import SpecError
from engine.spec.explain import explain
from engine.spec.load import Loaded, load
from engine.spec.refs import references
from engine.train.spec import Train

CASES = Path(__file__).parent / "cases"


def case(name: str) -> Loaded[Experiment]:
    return load(CASES / "k2" / f"{name}.yaml", Experiment, CASES)


def train(loaded: Loaded[Experiment], run: str = "stage1") -> Train:
    stage = loaded.value.stages[run]
    assert isinstance(stage, Train)
    return stage


def refused(path: Path, specs: Path) -> str:
    with pytest.raises(SpecError) as caught:
        load(path, Experiment, specs)
    return str(caught.value)


def test_mappings_merge_lists_and_scalars_replace() -> None:
    loaded = case("k2-proxy")
    stage = train(loaded)
    assert [file.name for file in loaded.files] == ["k2-proxy.yaml", "k2-base.yaml"]
    assert (stage.optimizer.lr.peak, stage.optimizer.lr.floor) == (1.5e-3, 1.5e-4)
    assert stage.optimizer.betas == (0.9, 0.99)
    assert (stage.optimizer.clip, type(stage.optimizer.clip)) == (1.0, float)
    assert loaded.value.about == "no"


def test_a_mapping_of_another_kind_replaces_the_whole(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text((CASES / "k2/k2-base.yaml").read_text())
    head = "extends: base.yaml\nexperiment: other\n"
    sha256 = "a" * 64
    source = f"{{kind: file, path: t, sha256: {sha256}, licence: MIT}}"
    method = f"{{kind: huggingface, vocabulary: 9, separator: </s>, file: {source}}}"
    (tmp_path / "other.yaml").write_text(f"{head}stages: {{tokenizer: {{method: {method}}}}}\n")
    tokenizer = load(tmp_path / "other.yaml", Experiment, tmp_path).value.stages["tokenizer"]
    assert set(tokenizer.model_dump()["method"]) == {"kind", "file", "vocabulary", "separator"}


def test_data_is_what_was_authored_and_no_default() -> None:
    loaded = case("k2-proxy")
    assert loaded.data["stages"]["stage1"]["kernels"] == {"attention": "sdpa", "norm": "reference"}
    assert "layout" not in loaded.data["stages"]["stage1"]
    assert "extends" not in loaded.data


def test_a_matrix_becomes_cells_and_references_find_theirs() -> None:
    loaded = case("k2-seeds")
    stages = loaded.value.stages
    assert [name for name in stages if name.startswith("stage1")] == [
        "stage1[optimizer.lr.peak=0.001,seed=2]",
        "stage1[optimizer.lr.peak=0.001,seed=1]",
        "stage1[optimizer.lr.peak=0.002,seed=2]",
        "stage1[optimizer.lr.peak=0.002,seed=1]",
    ]
    stage = train(loaded, "stage1[optimizer.lr.peak=0.002,seed=1]")
    assert (stage.seed, stage.optimizer.lr.peak, stage.rows) == (1, 0.002, "rows[seed=1]@rows")
    judged = "judged[optimizer.lr.peak=0.001,seed=1]"
    assert [ref for _, ref in references(stages[judged])] == [
        "stage1[optimizer.lr.peak=0.001,seed=1]@final",
        "split[seed=1]@heldout",
        "tokenizer@model",
        "rows[seed=1]@rows",
    ]
    assert [ref for _, ref in references(loaded.value.claims)] == ["split[seed=2]@train", "split[*]@heldout"]


def test_a_cell_may_be_named_in_any_order_and_spelling(tmp_path: Path) -> None:
    above, stage1 = (CASES / "k2/k2-base.yaml").read_text().split("  stage1:\n")
    stage1 = stage1.replace("    seed: 1\n", "    seed: 1\n    matrix: {seed: [1], optimizer.eps: [1e-8]}\n")
    text = f"{above}  stage1:\n{stage1}"
    check = '{kind: equal_content, left: "stage1[seed=1,optimizer.eps=1.0e-8]@final", right: "stage1[*]@*"}'
    claim = f"claims: [{{id: x, class: lore, says: x, check: {check}}}]\n"
    (tmp_path / "x.yaml").write_text(f"experiment: x\n{text}{claim}")
    found = load(tmp_path / "x.yaml", Experiment, tmp_path).value.claims
    assert [ref for _, ref in references(found)] == ["stage1[optimizer.eps=1e-08,seed=1]@final", "stage1[*]@*"]


def test_a_matrix_that_grows_too_large_is_refused(tmp_path: Path) -> None:
    text = (CASES / "k2/k2-base.yaml").read_text()
    axes = ", ".join(f"a{i}: [1, 2, 3, 4, 5, 6, 7, 8, 9]" for i in range(12))
    (tmp_path / "x.yaml").write_text(f"experiment: x\n{text}    matrix: {{{axes}}}\n")
    assert "stages.stage1.matrix: makes " in refused(tmp_path / "x.yaml", tmp_path)


def test_a_file_that_is_missing_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "quickstart.yaml").write_text("")
    assert refused(tmp_path / "quikstart.yaml", tmp_path).endswith(
        "there is no such file (did you mean 'quickstart.yaml'?)"
    )
    assert refused(tmp_path, tmp_path).endswith("is not a file")


@pytest.mark.parametrize(
    "base", ["../secret.yaml", "/etc/passwd", "link.yaml", "..\\secret.yaml", "a/../../secret.yaml", "5", "[x]", "''"]
)
def test_a_base_outside_the_papers_folder_is_refused(base: str, tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text("format: 1\n")
    paper = tmp_path / "paper"
    paper.mkdir()
    (paper / "link.yaml").symlink_to("../secret.yaml")
    (paper / "x.yaml").write_text(f"extends: {base}\n")
    message = refused(paper / "x.yaml", tmp_path)
    assert message.startswith(f"{paper / 'x.yaml'}:1:")
    assert any(part in message for part in ("climbs out", "not a relative path", "expected the path of one file"))


def test_explain_names_the_line_and_what_it_overrode() -> None:
    found = explain(case("k2-proxy"), "stages.stage1.optimizer.lr.peak")
    assert (found.value, found.spot and (Path(found.spot.file).name, *found.spot[1:])) == (
        1.5e-3,
        ("k2-proxy.yaml", 9, 15),
    )
    assert [(value, Path(spot.file).name, spot.line, spot.column) for value, spot in found.overrode] == [
        (0.001, "k2-base.yaml", 47, 32)
    ]
    assert "Cosine: Linear warm-up" in found.text()
    assert found.data()["overrode"][0]["value"] == 0.001


def test_explain_follows_an_axis_to_its_value_in_the_matrix() -> None:
    found = explain(case("k2-seeds"), "stages.stage1[optimizer.lr.peak=0.002,seed=1].optimizer.lr.peak")
    assert found.spot is not None
    assert (Path(found.spot.file).name, found.spot.line, found.spot.column) == ("k2-seeds.yaml", 18, 33)
    assert [value for value, _ in found.overrode] == [1.5e-3, 1e-3]


@pytest.mark.parametrize(
    ("path", "default_of", "about"),
    [
        ("stages.stage1.optimizer.eps", "AdamW.eps", "AdamW: Adam with decoupled weight decay"),
        ("stages.stage1.kernels.rotary", "Kernels.rotary", "Kernels: "),
        ("stages.stage1.kernels.linear_cross_entropy.kind", "ReferenceLoss.kind", "ReferenceLoss: "),
        ("stages.stage1.model.tied", "", "Whether input and output embeddings are one matrix."),
        ("claims.0.class", "", "Claim: "),
        ("stages.corpus.sources.1.members", "FileSource.members", "FileSource: "),
    ],
)
def test_explain_tells_a_default_and_the_meaning(path: str, default_of: str, about: str) -> None:
    found = explain(case("k2-proxy"), path)
    assert found.path == path
    assert found.default_of == default_of
    assert (found.spot is None) == bool(default_of)
    assert found.about.startswith(about)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "stages.stage1.optimiser.lr",
            "stages.stage1 has no \"optimiser.lr\" (did you mean 'optimizer'?); it has kind, model",
        ),
        ("stages.stage1.seed.x", "stages.stage1.seed is 1 and has nothing below it"),
        ("stagse", "(did you mean 'stages'?)"),
        ("claims.7", 'claims has no "7"; it has 0'),
    ],
)
def test_explain_names_the_nearest_of_an_unknown_path(path: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        explain(case("k2-proxy"), path)
    assert message in str(caught.value)


def test_explain_of_a_stage_with_a_matrix_points_to_a_cell() -> None:
    with pytest.raises(SpecError, match=r"did you mean 'rows\[seed=1\]'"):
        explain(case("k2-seeds"), "stages.rows.row_tokens")


def test_a_path_that_is_no_file_value_is_located_at_what_is_round_it() -> None:
    loaded = case("k2-proxy")
    assert loaded.locate("stages.stage1.layout.world") == loaded.origins["stages", "stage1"].spot
    assert loaded.locate("claims.0.check.left").line == 15
