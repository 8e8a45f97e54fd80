"""Layouts in which others publish: the engine's logits are those of another forward pass over the stored tensors."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, Mamba2Config, Mamba2ForCausalLM

from engine.kernels.spec import Kernels
from engine.models.build import build, load_weights
from engine.models.spec import Alibi, AlibiGpt, FbiLinear, Mamba2, Model, MuP, PartialRotary
from engine.spec.errors import ArtifactError
from tests.models.pretrained import read_back

IDS_BT = torch.from_numpy(np.random.Generator(np.random.Philox(1)).integers(0, 90, (2, 20)))
Tensors = dict[str, Tensor]

GPT = {
    "activation_function": "swiglu", "attn_pdrop": 0.0, "embd_pdrop": 0.0, "eos_token_id": 0,
    "layer_norm_epsilon": 1e-5, "mup_embeddings_scale": 14.6, "mup_output_alpha": 2.22, "mup_scale_qk_dot_by_d": True,
    "mup_width_scale": 0.5, "n_embd": 48, "n_head": 6, "n_inner": 40, "n_layer": 2, "n_positions": 32,
    "resid_pdrop": 0.0, "scale_attn_weights": True, "tie_word_embeddings": True, "use_cache": True, "vocab_size": 90,
}  # fmt: skip
BTLM = GPT | {"model_type": "btlm", "position_embedding_type": "alibi", "alibi_scaling": None}
CRYSTAL = GPT | {
    "model_type": "crystalcoder", "position_embedding_type": "rotary", "rotary_dim": 4,
    "auto_map": {"AutoModelForCausalLM": "modeling_crystalcoder.CrystalCoderLMHeadModel"},
}  # fmt: skip
OLD = {
    **{key: value for key, value in BTLM.items() if not key.startswith("mup_")},
    "embeddings_scale": 14.6, "scale_qk_dot_by_d": True, "width_scale": 2.22 * 0.5,
}  # fmt: skip
SLOPES = [0.25, 0.0625, 0.015625, 0.00390625, 0.5, 0.125]  # of six heads: those of four, then two of those of eight


def gpt_tensors() -> Tensors:
    """Random tensors under GPT-2's names, matrices as inputs x outputs, causal masks beside them."""
    torch.manual_seed(5)
    shapes = {"wte.weight": (90, 48)}
    for n in range(2):
        inner = {"attn.c_attn": (48, 144), "attn.c_proj": (48, 48), "mlp.c_fc": (48, 40), "mlp.c_fc2": (48, 40),
                 "mlp.c_proj": (40, 48)}  # fmt: skip
        shapes |= {f"h.{n}.{name}.weight": shape for name, shape in inner.items()}
        shapes |= {f"h.{n}.{name}.bias": shape[1:] for name, shape in inner.items()}
        shapes |= {f"h.{n}.ln_{k}.{leaf}": (48,) for k in (1, 2) for leaf in ("weight", "bias")}
    shapes |= {"ln_f.weight": (48,), "ln_f.bias": (48,)}
    found = {f"transformer.{name}": torch.randn(shape) * 0.3 for name, shape in shapes.items()}
    masks = {f"transformer.h.{n}.attn.bias": torch.ones(1, 1, 32, 32).bool().tril() for n in range(2)}
    return found | masks | {"transformer.h.0.attn.masked_bias": torch.tensor(-1e4)}


def gpt_logits(stored: Tensors, config: dict[str, Any]) -> Tensor:
    """What the published classes compute, written from what is known of them: neighbours turn as complex numbers."""
    t = {name.removeprefix("transformer."): value for name, value in stored.items()}
    x = t["wte.weight"][IDS_BT] * 14.6
    distance = torch.arange(20)[:, None] - torch.arange(20)
    for n in range(2):
        y = F.layer_norm(x, (48,), t[f"h.{n}.ln_1.weight"], t[f"h.{n}.ln_1.bias"])
        qkv = (y @ t[f"h.{n}.attn.c_attn.weight"] + t[f"h.{n}.attn.c_attn.bias"]).view(2, 20, 3, 6, 8)
        q, k, v = (part.transpose(1, 2) for part in qkv.unbind(2))
        scores = torch.zeros(6, 20, 20)
        if config["model_type"] == "btlm":
            scores = -torch.tensor(SLOPES)[:, None, None] * distance
        else:
            q, k = turned(q), turned(k)
        scores = (q @ k.transpose(-1, -2) / 8 + scores).masked_fill(distance < 0, -torch.inf)
        y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(2, 20, 48)
        x = x + y @ t[f"h.{n}.attn.c_proj.weight"] + t[f"h.{n}.attn.c_proj.bias"]
        y = F.layer_norm(x, (48,), t[f"h.{n}.ln_2.weight"], t[f"h.{n}.ln_2.bias"])
        up, gate = (y @ t[f"h.{n}.mlp.{m}.weight"] + t[f"h.{n}.mlp.{m}.bias"] for m in ("c_fc", "c_fc2"))
        x = x + (up * F.silu(gate)) @ t[f"h.{n}.mlp.c_proj.weight"] + t[f"h.{n}.mlp.c_proj.bias"]
    return F.layer_norm(x, (48,), t["ln_f.weight"], t["ln_f.bias"]) @ t["wte.weight"].T * (2.22 * 0.5)


def turned(x_BHTK: Tensor) -> Tensor:
    """The first 4 of 8 channels, neighbours as one complex number, by angles t and t / 100."""
    angle_TJ = torch.arange(20.0)[:, None] * torch.tensor([1.0, 0.01])
    pairs = torch.view_as_complex(x_BHTK[..., :4].reshape(2, 6, 20, 2, 2).contiguous())
    moved = torch.view_as_real(pairs * torch.polar(torch.ones(20, 2), angle_TJ)).flatten(-2)
    return torch.cat((moved, x_BHTK[..., 4:]), -1)


def put(folder: Path, config: dict[str, Any], tensors: Tensors) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "model.safetensors")
    return folder


def our_logits(folder: Path) -> tuple[Model, Tensor]:
    spec, weights = read_back(folder)
    model = build(spec, Kernels())
    load_weights(model, weights, "a test")
    with torch.no_grad():
        return spec, model(IDS_BT)


def close(ours: Tensor, theirs: Tensor) -> bool:
    return bool((ours - theirs).abs().max() <= 1e-5 * theirs.abs().max())


@pytest.mark.parametrize("config", [BTLM, CRYSTAL, OLD], ids=["btlm", "crystalcoder", "older names of the scales"])
def test_gpt_with_mup_is_read(config: dict[str, Any], tmp_path: Path) -> None:
    stored = gpt_tensors()
    head = {"lm_head.weight": stored["transformer.wte.weight"].clone()}
    spec, ours = our_logits(put(tmp_path / "hf", config, stored | head))
    assert close(ours, gpt_logits(stored, config))
    rotary = PartialRotary(kind="partial_rotary", channels=4)
    assert isinstance(spec, AlibiGpt)
    assert spec.position == (rotary if config is CRYSTAL else Alibi(kind="alibi"))
    if config is not OLD:
        assert spec.mup == MuP(base_width=24, embedding=14.6, output=2.22)


def test_stored_slopes_must_be_those_of_alibi(tmp_path: Path) -> None:
    slopes = torch.tensor(SLOPES)[:, None]
    read_back(put(tmp_path, BTLM, gpt_tensors() | {"transformer.relative_pe.slopes": slopes}))
    with pytest.raises(ArtifactError, match=r"other slopes than those of ALiBi, 0\.25"):
        read_back(put(tmp_path, BTLM, gpt_tensors() | {"transformer.relative_pe.slopes": -slopes}))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (BTLM | {"mup_scale_qk_dot_by_d": False}, "mup_scale_qk_dot_by_d is False"),
        (BTLM | {"alibi_scaling": {"type": "linear", "factor": 2}}, "alibi_scaling is .* does not follow"),
        (BTLM | {"position_embedding_type": "learned"}, "position_embedding_type is 'learned'; .* has 'alibi'"),
        (BTLM | {"mup_width_scale": 0.51}, "0.51 of n_embd 48 is no whole base width"),
        (BTLM | {"width_scale": 0.5}, "states the scales of muP twice"),
        (BTLM | {"activation_function": None}, "has no activation_function; .* has 'swiglu'"),
        (CRYSTAL | {"rotary_dim": 9}, "rotary_dim is 9, not an even number up to 8"),
        (CRYSTAL | {"n_head": 5}, "n_head is 5, which does not divide n_embd 48"),
    ],
)
def test_another_gpt_is_refused(config: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=message):
        read_back(put(tmp_path, config, gpt_tensors()))


SCALES = {"input": lambda w: w[:1], "output": lambda w: w[:, :1], "tensor": lambda w: w[0, :1]}


def binarized(model: torch.nn.Module, shape: Callable[[Tensor], Tensor]) -> Tensors:
    """The state of a model after each `_proj` became alpha * sign(latent) + beta; stored as FBI-LLM stores it."""
    stored: Tensors = {}
    for name, weight in model.state_dict().items():
        stored[name] = weight.clone()
        if name.endswith("_proj.weight"):
            stored[name].view(-1)[::7] = 0.0
            stem = name.removesuffix("weight")
            stored[f"{stem}wscale"], stored[f"{stem}wbias"] = (torch.randn_like(shape(weight)) * 0.1 for _ in "ab")
            weight.copy_(stored[f"{stem}wscale"] * stored[name].sign() + stored[f"{stem}wbias"])
    return stored


@pytest.mark.parametrize("scale", SCALES)
def test_fbi_llm_is_read(scale: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    config = LlamaConfig(vocab_size=90, hidden_size=32, intermediate_size=24, num_hidden_layers=2,
                         num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=32)  # fmt: skip
    theirs = LlamaForCausalLM(config).eval()
    stored = binarized(theirs, SCALES[scale])
    spec, ours = our_logits(put(tmp_path / "hf", config.to_dict(), stored))
    assert spec.linear == FbiLinear(kind="fbi", scale=scale, zero="zero")
    with torch.no_grad():
        assert close(ours, theirs(IDS_BT).logits)


MAMBA = {
    "attn_cfg": {}, "attn_layer_idx": [], "d_intermediate": 0, "d_model": 32, "fused_add_norm": True, "n_layer": 2,
    "pad_vocab_size_multiple": 16, "residual_in_fp32": True, "rms_norm": True,
    "ssm_cfg": {"layer": "Mamba2", "d_state": 8, "headdim": 16}, "tie_embeddings": True, "vocab_size": 90,
}  # fmt: skip


def mamba() -> Mamba2ForCausalLM:
    torch.manual_seed(3)
    config = Mamba2Config(vocab_size=96, hidden_size=32, num_hidden_layers=2, num_heads=4, head_dim=16, state_size=8,
                          n_groups=1, tie_word_embeddings=True, initializer_range=0.3)  # fmt: skip
    model = Mamba2ForCausalLM(config).eval()
    for parameter in model.parameters():
        parameter.data = parameter + torch.randn_like(parameter) * 0.1
    return model


@pytest.mark.parametrize("binary", [False, True])
def test_mamba_ssm_is_read(binary: bool, tmp_path: Path) -> None:
    theirs = mamba()
    stored = binarized(theirs, SCALES["input"]) if binary else theirs.state_dict()
    named = {name.replace("embeddings", "embedding"): value.clone() for name, value in stored.items()}
    spec, ours = our_logits(put(tmp_path / "hf", MAMBA, named))
    assert isinstance(spec, Mamba2)
    assert (spec.vocabulary, isinstance(spec.linear, FbiLinear)) == (96, binary)
    with torch.no_grad():
        assert close(ours, theirs(IDS_BT).logits)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ssm_cfg": {}}, "ssm_cfg: layer is None; the engine's mamba2 has 'Mamba2'"),
        ({"ssm_cfg": {"layer": "Mamba2", "norm_before_gate": True}}, "norm_before_gate is True"),
        ({"ssm_cfg": {"layer": "Mamba2", "d_ssm": 16}}, "d_ssm is 16; .* has 64"),
        ({"ssm_cfg": {"layer": "Mamba2", "chunks": 3}}, "chunks is 3, which the engine's mamba2 does not follow"),
        ({"ssm_cfg": {"layer": "Mamba2", "headdim": 48}}, "headdim is 48, which does not divide 2 x 32"),
        ({"attn_layer_idx": [1]}, r"attn_layer_idx is \[1\]"),
        ({"d_intermediate": 64}, "d_intermediate is 64"),
    ],
)
def test_another_mamba_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=message):
        read_back(put(tmp_path, MAMBA | changes, {}))
