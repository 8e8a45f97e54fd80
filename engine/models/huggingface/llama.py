"""LLaMA as transformers' LlamaForCausalLM: names of tensors and config.json, both ways."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.models.huggingface.settings import Settings
from engine.models.spec import Llama
from engine.spec.errors import ArtifactError

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
ALSO = {**FIXED, "partial_rotary_factor": 1.0, "rope_interleaved": False, "use_sliding_window": False}
READ = (
    "head_dim", "hidden_size", "intermediate_size", "max_position_embeddings", "num_attention_heads",
    "num_hidden_layers", "num_key_value_heads", "rms_norm_eps", "rope_parameters", "rope_scaling", "rope_theta",
    "tie_word_embeddings", "vocab_size",
)  # fmt: skip
ROPE = ("rope_type", "type", "rope_theta", "partial_rotary_factor")
ROPE_BASE = 10000.0  # transformers' default of a file that states none


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
    stated = Settings(str(folder / "config.json"), "llama", config)
    switched_off = ("sliding_window",) if config.get("use_sliding_window") is False else ()
    stated.only((*READ, *switched_off), ALSO)
    width = stated.count("hidden_size")
    heads = stated.divides("num_attention_heads", width, "hidden_size")
    stated.fixed({"head_dim": width // heads})
    return Llama(
        kind="llama",
        vocabulary=stated.count("vocab_size"),
        layers=stated.count("num_hidden_layers"),
        width=width,
        heads=heads,
        kv_heads=_kv_heads(stated, heads),
        mlp=stated.count("intermediate_size"),
        context=stated.count("max_position_embeddings"),
        norm_eps=stated.number("rms_norm_eps"),
        rope_base=_rope_base(stated),
        tied=stated.flag("tie_word_embeddings", False),
    )


def _kv_heads(stated: Settings, heads: int) -> int:
    if not stated.has("num_key_value_heads"):
        return heads
    return stated.divides("num_key_value_heads", heads, "num_attention_heads")


def _rope_base(stated: Settings) -> float:
    """The base of plain rotary positions, under any of the keys that versions of transformers write it."""
    bases = {stated.number("rope_theta")} if stated.has("rope_theta") else set()
    for key in ("rope_parameters", "rope_scaling"):
        rope = stated.part(key)
        kinds = {str(rope.found[name]) for name in ("rope_type", "type") if rope.has(name)}
        unknown = [name for name in rope.found if name not in ROPE and rope.has(name)]
        if kinds - {"default"} or unknown:
            raise ArtifactError(
                f"{stated.where}: {key} is {dict(rope.found)!r}; the engine's llama turns by the plain base alone: "
                'allowed are null, or rope_type "default" with rope_theta'
            )
        rope.fixed({"partial_rotary_factor": 1.0})
        if rope.has("rope_theta"):
            bases.add(rope.number("rope_theta"))
    if len(bases) > 1:
        raise ArtifactError(f"{stated.where} states rope_theta twice: {', '.join(map(str, sorted(bases)))}")
    return bases.pop() if bases else ROPE_BASE
