"""LLaMA as transformers' LlamaForCausalLM: names of tensors and config.json, both ways."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.models.huggingface.folder import refuse_unless
from engine.models.spec import Llama

OUTER = {"embedding": "model.embed_tokens", "norm": "model.norm", "head": "lm_head"}
INNER = {
    "attention_norm": "input_layernorm",
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.output": "self_attn.o_proj",
    "mlp_norm": "post_attention_layernorm",
    "mlp.gate": "mlp.gate_proj",
    "mlp.up": "mlp.up_proj",
    "mlp.down": "mlp.down_proj",
}
FIXED = {"hidden_act": "silu", "attention_bias": False, "mlp_bias": False}  # what the engine's module always does


def hf_name(name: str) -> str:
    """transformers' name of a parameter of the engine's module."""
    module = name.removesuffix(".weight")
    if module in OUTER:
        return f"{OUTER[module]}.weight"
    _, layer, inner = module.split(".", 2)
    return f"model.layers.{layer}.{INNER[inner]}.weight"


def config_of(model: Llama, end_id: int | None) -> dict[str, Any]:
    """transformers' config.json of a spec, for versions 4 (rope_theta) and 5 (rope_parameters)."""
    return {
        **FIXED,
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float32",
        "vocab_size": model.vocabulary,
        "hidden_size": model.width,
        "intermediate_size": model.mlp,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.kv_heads,
        "head_dim": model.width // model.heads,
        "max_position_embeddings": model.context,
        "rms_norm_eps": model.norm_eps,
        "rope_theta": model.rope_base,
        "rope_parameters": {"rope_type": "default", "rope_theta": model.rope_base},
        "tie_word_embeddings": model.tied,
        "initializer_range": model.init.std,
        "bos_token_id": None,
        "eos_token_id": end_id,
    }


def spec_of(config: Mapping[str, Any], folder: Path) -> Llama:
    """The spec of a config.json; ArtifactError names the first setting that the engine's module cannot follow."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    heads, width = config["num_attention_heads"], config["hidden_size"]
    found = {name: config.get(name, value) for name, value in FIXED.items()}
    found |= {"model_type": config["model_type"], "rope_type": rope.get("rope_type", "default")}
    found["head_dim"] = config.get("head_dim") or width // heads
    wanted = {**FIXED, "model_type": "llama", "rope_type": "default", "head_dim": width // heads}
    refuse_unless(found, wanted, folder, "llama")
    return Llama(
        kind="llama",
        vocabulary=config["vocab_size"],
        layers=config["num_hidden_layers"],
        width=width,
        heads=heads,
        kv_heads=config.get("num_key_value_heads") or heads,
        mlp=config["intermediate_size"],
        context=config["max_position_embeddings"],
        norm_eps=float(config["rms_norm_eps"]),
        rope_base=float(rope.get("rope_theta") or config.get("rope_theta") or 10000.0),
        tied=config.get("tie_word_embeddings", False),
    )
