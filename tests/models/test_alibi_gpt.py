"""alibi_gpt: published sizes, initial weights, decoding, StableLM on shared weights, its Hugging Face folder."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, StableLmConfig, StableLmForCausalLM

from engine.kernels.spec import Kernels
from engine.models.alibi_gpt_shapes import alibi_gpt_shapes
from engine.models.build import build, load_weights
from engine.models.decoder import Decoder, greedy
from engine.models.huggingface import export_hf
from engine.models.huggingface.folder import TEMPLATES
from engine.models.init import Weights, initial_weights
from engine.models.spec import Alibi, AlibiGpt, FbiLinear, MuP, NormalInit, PartialRotary
from engine.spec.canonical import digest
from engine.spec.errors import ArtifactError
from tests.models.pretrained import read_back

IDS_BT = torch.from_numpy(np.random.Generator(np.random.Philox(1)).integers(0, 300, (2, 40)))
ROTARY = PartialRotary(kind="partial_rotary", channels=4)
SLIMPAJAMA_DC = AlibiGpt(
    kind="alibi_gpt", vocabulary=50277, layers=24, width=2048, heads=16, mlp=5461, context=2048,
    position=Alibi(kind="alibi"),
)  # fmt: skip
CRYSTAL = SLIMPAJAMA_DC.replace(
    vocabulary=32032, layers=32, width=4096, heads=32, mlp=10922,
    position=PartialRotary(kind="partial_rotary", channels=32),
)  # fmt: skip
VARIANTS = {
    "alibi": {},
    "rotary": {"position": ROTARY},
    "binary": {"linear": FbiLinear(kind="fbi")},
    "binary-output": {"linear": FbiLinear(kind="fbi", scale="output", zero="zero"), "position": ROTARY},
}


def tiny(**changes: object) -> AlibiGpt:
    """Six heads of eight channels: no power of two, for the slopes."""
    spec = SLIMPAJAMA_DC.replace(vocabulary=300, layers=2, width=48, heads=6, mlp=40, context=64)
    return spec.replace(mup=MuP(base_width=48)).replace(**changes)


def loaded(spec: AlibiGpt, weights: Weights, kernels: Kernels | None = None) -> Decoder[object]:
    model = build(spec, kernels or Kernels())
    load_weights(model, weights, "test")
    return model.eval()


def with_biases(spec: AlibiGpt) -> Weights:
    """Initial weights whose biases are not zero."""
    found = initial_weights(spec, 3)
    for index, name in enumerate(found):
        if name.endswith(".bias"):
            found[name] = np.random.Generator(np.random.Philox(index)).normal(size=found[name].shape).astype(np.float32)
    return found


@pytest.mark.parametrize(("spec", "count"), [(SLIMPAJAMA_DC, "1.311586288"), (CRYSTAL, "6.58")])
def test_published_parameter_counts(spec: AlibiGpt, count: str) -> None:
    with torch.device("meta"):
        model = build(spec, Kernels())
    digits = len(count.partition(".")[2])
    assert f"{sum(p.numel() for p in model.parameters()) / 1e9:.{digits}f}" == count
    assert {n: tuple(p.shape) for n, p in model.named_parameters()} == alibi_gpt_shapes(spec)
    assert model.logit_scale == pytest.approx(2.22 * 256 / spec.width, rel=1e-15)


@pytest.mark.parametrize("variant", VARIANTS)
def test_initial_weights_are_those_of_the_module_in_its_order(variant: str) -> None:
    spec = tiny(**VARIANTS[variant])
    module = build(spec, Kernels())
    assert {n: w.shape for n, w in initial_weights(spec, 1).items()} == alibi_gpt_shapes(spec)
    assert set(alibi_gpt_shapes(spec)) == {n for n, _ in module.named_parameters()}


def test_golden_digest() -> None:
    weights = initial_weights(tiny(), 20260801)
    assert digest({name: w.tobytes().hex() for name, w in weights.items()}) == GOLDEN


def test_spread_falls_with_the_root_of_the_width_inside_blocks_alone() -> None:
    spec = tiny(width=192, mup=MuP(base_width=48), init=NormalInit(std=0.08))
    weights = initial_weights(spec, 1)
    assert np.std(weights["embedding.weight"]) == pytest.approx(0.08, rel=0.02)
    assert np.std(weights["layers.0.attention.query.weight"]) == pytest.approx(0.04, rel=0.02)
    assert np.std(weights["layers.0.mlp.down.weight"]) == pytest.approx(0.02, rel=0.02)
    assert not weights["layers.1.mlp.up.bias"].any()
    assert np.all(weights["norm.weight"] == 1.0)


@pytest.mark.parametrize("variant", VARIANTS)
def test_decoding_id_by_id_gives_the_logits_of_the_whole(variant: str) -> None:
    spec = tiny(**VARIANTS[variant])
    model = loaded(spec, with_biases(spec))
    with torch.inference_mode():
        whole_BTV, state = model(IDS_BT[:, :12]), model.begin(2, 12)
        steps_BTV = torch.stack([model.step(IDS_BT[:, t], state) for t in range(12)], dim=1)
    torch.testing.assert_close(steps_BTV, whole_BTV, rtol=0, atol=1e-6 * whole_BTV.abs().max().item())


def test_more_positions_than_the_tables_hold_are_refused() -> None:
    spec = tiny(position=ROTARY, context=39)
    model = loaded(spec, initial_weights(spec, 1))
    with pytest.raises(ArtifactError, match="40 positions do not fit a context of 39"):
        model(IDS_BT)


def test_stablelm_gives_the_same_logits_on_shared_weights() -> None:
    """It has partial rotary positions, LayerNorm and SwiGLU too, but no such biases, and divides by the root."""
    spec = tiny(position=ROTARY, mup=MuP(base_width=48, embedding=1.0, output=1.0))
    weights = with_biases(spec)
    theirs = StableLmForCausalLM(
        StableLmConfig(
            vocab_size=300, hidden_size=48, intermediate_size=40, num_hidden_layers=2, num_attention_heads=6,
            num_key_value_heads=6, max_position_embeddings=64, layer_norm_eps=1e-5, use_qkv_bias=True,
            tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 1e4,
            "partial_rotary_factor": 0.5}, hidden_dropout=0.0, attention_dropout=0.0,
        )
    ).eval()  # fmt: skip
    for name, parameter in theirs.named_parameters():
        parameter.data = torch.from_numpy(weights[our_name(name)])
    for name in weights:
        if name.endswith(("output.bias", "gate.bias", "up.bias", "down.bias")):
            weights[name] = np.zeros_like(weights[name])
        elif ".query." in name:
            weights[name] = weights[name] * np.float32(8**0.5)
    with torch.no_grad():
        ours_BTV, theirs_BTV = loaded(spec, weights)(IDS_BT), theirs(IDS_BT).logits
    torch.testing.assert_close(ours_BTV, theirs_BTV, rtol=0, atol=1e-5 * theirs_BTV.abs().max().item())


def our_name(name: str) -> str:
    """Our name of a parameter of StableLM."""
    words = {
        "model.": "", "embed_tokens": "embedding", "self_attn": "attention", "q_proj": "query", "k_proj": "key",
        "v_proj": "value", "o_proj": "output", "input_layernorm": "attention_norm",
        "post_attention_layernorm": "mlp_norm", "gate_proj": "gate", "up_proj": "up", "down_proj": "down",
    }  # fmt: skip
    for theirs, ours in words.items():
        name = name.replace(theirs, ours)
    return name


@pytest.mark.parametrize("variant", VARIANTS)
def test_exported_folder_gives_transformers_the_same_logits(tmp_path: Path, variant: str) -> None:
    spec = tiny(**VARIANTS[variant], init=NormalInit(std=0.1, residual="plain"))
    weights = with_biases(spec)
    export_hf(weights, spec, None, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, trust_remote_code=True, dtype=torch.float32).eval()
    model = loaded(spec, weights)
    with torch.no_grad():
        assert torch.equal(theirs(IDS_BT).logits, model(IDS_BT))
        found_BT = theirs.generate(IDS_BT[:, :9], max_new_tokens=6, do_sample=False, pad_token_id=0)
    assert torch.equal(found_BT[:, 9:], greedy(model, IDS_BT[:, :9], 6))
    back, again = read_back(tmp_path)
    assert back == spec
    assert all(np.array_equal(again[name], weights[name]) for name in weights)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_on_either_side_changes_nothing(tmp_path: Path, side: str) -> None:
    spec = tiny(position=ROTARY) if side == "left" else tiny()
    export_hf(with_biases(spec), spec, None, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, trust_remote_code=True, dtype=torch.float32).eval()
    pads, at = torch.full((2, 3), 7), slice(3, None) if side == "left" else slice(0, 40)
    parts = (pads, IDS_BT) if side == "left" else (IDS_BT, pads)
    mask = torch.cat([torch.zeros_like(p) if p is pads else torch.ones_like(p) for p in parts], 1)
    with torch.no_grad():
        padded = theirs(torch.cat(parts, 1), attention_mask=mask).logits[:, at]
        alone = theirs(IDS_BT).logits
    torch.testing.assert_close(padded, alone, rtol=0, atol=1e-5 * alone.abs().max().item())


def test_a_folder_without_a_field_is_refused_by_its_name(tmp_path: Path) -> None:
    export_hf(initial_weights(tiny(), 1), tiny(), None, tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"alibi"', '"alibbi"'))
    with pytest.raises(ArtifactError, match="alibbi"):
        read_back(tmp_path)
    config.write_text(config.read_text().replace('"mup"', '"nup"'))
    with pytest.raises(ArtifactError, match="has no mup"):
        read_back(tmp_path)


@pytest.mark.parametrize("file", sorted(TEMPLATES.glob("*.py")), ids=lambda file: file.name)
def test_a_modelling_file_stands_alone(file: Path) -> None:
    """It is loaded where there is no engine: Python, torch and transformers are all that it may import."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                found |= {name.name.partition(".")[0] for name in names}
            case ast.ImportFrom(module=str(module)):
                found.add(module.partition(".")[0])
    assert found <= {"collections", "math", "typing", "torch", "transformers"}


GOLDEN = "c05cc16584f97262223d73675400e41c1136e21b878cde092b778a487917eb46"
