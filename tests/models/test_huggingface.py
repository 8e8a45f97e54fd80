"""The engine's LLaMA against transformers' on shared weights, both ways through a Hugging Face folder."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from engine.data.tokenizer import load_tokenizer
from engine.kernels.spec import Kernels
from engine.models.build import build, load_weights
from engine.models.huggingface import config_of, export_hf, spec_of
from engine.models.init import initial_weights
from engine.models.spec import Llama
from engine.spec.errors import ArtifactError
from tests.data.built import bpe, documents, prose, trained
from tests.models.pretrained import read_back

IDS_BT = torch.from_numpy(np.random.Generator(np.random.Philox(1)).integers(0, 300, (2, 64)))


def tiny(tied: bool, kv_heads: int) -> Llama:
    return Llama(
        kind="llama", vocabulary=300, layers=2, width=32, heads=4, kv_heads=kv_heads, mlp=48, context=64, tied=tied,
    )  # fmt: skip


def theirs_logits(model: torch.nn.Module) -> Tensor:
    with torch.no_grad():
        logits: Tensor = model.eval()(IDS_BT).logits
    return logits


def our_logits(spec: Llama, weights: dict[str, np.ndarray]) -> Tensor:
    model = build(spec, Kernels())
    load_weights(model, weights, "test")
    with torch.no_grad():
        logits: Tensor = model(IDS_BT)
    return logits


@pytest.mark.parametrize(("tied", "kv_heads"), [(True, 4), (False, 4), (True, 2), (False, 1)])
def test_exported_folder_gives_transformers_the_same_logits(tmp_path: Path, tied: bool, kv_heads: int) -> None:
    spec = tiny(tied, kv_heads)
    weights = {name: w * 4 if w.ndim == 2 else w for name, w in initial_weights(spec, 7).items()}
    export_hf(weights, spec, None, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    torch.testing.assert_close(our_logits(spec, weights), theirs_logits(theirs), rtol=0, atol=1e-5)
    back, again = read_back(tmp_path)
    assert back == spec
    assert all(np.array_equal(again[name], weights[name]) for name in weights)


@pytest.mark.parametrize("tied", [True, False])
def test_a_folder_written_by_transformers_is_read(tmp_path: Path, tied: bool) -> None:
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=300, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, tie_word_embeddings=tied, initializer_range=0.1,
    )  # fmt: skip
    theirs = LlamaForCausalLM(config)
    theirs.save_pretrained(tmp_path)
    spec, weights = read_back(tmp_path)
    torch.testing.assert_close(our_logits(spec, weights), theirs_logits(theirs), rtol=0, atol=1e-5)


def test_another_architecture_is_refused_by_the_name_of_its_setting(tmp_path: Path) -> None:
    export_hf(initial_weights(tiny(True, 4), 1), tiny(True, 4), None, tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"attention_bias": false', '"attention_bias": true'))
    with pytest.raises(ArtifactError, match="attention_bias is True"):
        read_back(tmp_path)


def test_a_tokenizer_goes_along_and_its_end_token_ends_a_generation(tmp_path: Path) -> None:
    spec, corpus = tiny(True, 4).replace(vocabulary=400), documents(tmp_path, prose("code", 30))
    tokenizer = trained(tmp_path, corpus, bpe(vocabulary=400)).outputs["model"].folder
    export_hf(initial_weights(spec, 1), spec, tokenizer, tmp_path / "out")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert theirs.generation_config.eos_token_id == 2
    ids = AutoTokenizer.from_pretrained(tmp_path / "out")("the graph\n")["input_ids"]
    assert ids == load_tokenizer(tokenizer).encode("the graph\n")[0].tolist()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling is .*'linear'.* allowed are null"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "rope_scaling is .*'llama3'"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, "rope_parameters is .*'yarn'"),
        ({"rope_parameters": {"rope_theta": 500.0}}, "states rope_theta twice"),
        ({"rope_parameters": {"partial_rotary_factor": 0.5}}, r"partial_rotary_factor is 0\.5"),
        ({"partial_rotary_factor": 0.5}, r"partial_rotary_factor is 0\.5"),
        ({"sliding_window": 32}, "sliding_window is 32, which the engine's llama does not follow"),
        ({"sliding_window": 32, "use_sliding_window": True}, "use_sliding_window is True"),
        ({"quantization_config": {"bits": 4}}, "quantization_config is .*; take a revision whose weights are float"),
        ({"auto_map": {"AutoModelForCausalLM": "other.Other"}}, "auto_map is .*; it may compute something else"),
        ({"mlp_bias": True}, "mlp_bias is True; the engine's llama has False"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu'; the engine's llama has 'silu'"),
        ({"head_dim": 16}, "head_dim is 16; the engine's llama has 8"),
        ({"logit_softcap": 30.0}, r"logit_softcap is 30\.0, which the engine's llama does not follow"),
        ({"num_attention_heads": 0}, "num_attention_heads is 0, not a positive whole number"),
        ({"num_key_value_heads": 3}, "num_key_value_heads is 3, which does not divide num_attention_heads 4"),
        ({"hidden_size": "32"}, "hidden_size is '32', not a positive whole number"),
        ({"rms_norm_eps": None}, "has no rms_norm_eps; the engine's llama needs a positive number"),
    ],
)
def test_no_setting_is_passed_over(changes: dict[str, object], message: str) -> None:
    config = config_of(tiny(True, 4), None) | changes
    with pytest.raises(ArtifactError, match=message):
        spec_of(config, Path("folder"))


def test_neutral_settings_are_passed_over() -> None:
    neutral = {"pretraining_tp": 2, "attention_dropout": 0.1, "rope_scaling": None, "unheard_of": None,
               "sliding_window": 32, "use_sliding_window": False}  # fmt: skip
    assert spec_of(config_of(tiny(True, 4), None) | neutral, Path("folder")) == tiny(True, 4)
