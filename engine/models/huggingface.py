"""LLaMA weights from and to a Hugging Face folder: config.json and safetensors, never a pickle."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import torch
from safetensors.numpy import save_file

from engine.data.tokenizers.export import export_tokenizer
from engine.models.init import Weights, parameter_shapes
from engine.models.spec import Llama
from engine.spec.canonical import pretty
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


def hf_name(name: str) -> str:
    """transformers' name of a parameter of the engine's module."""
    module = name.removesuffix(".weight")
    if module in OUTER:
        return f"{OUTER[module]}.weight"
    _, layer, inner = module.split(".", 2)
    return f"model.layers.{layer}.{INNER[inner]}.weight"


def import_hf(folder: Path) -> tuple[Llama, Weights]:
    """The spec and fp32 weights of a LlamaForCausalLM folder; ArtifactError when it is another kind of model."""
    config = _read_json(folder / "config.json")
    model = spec_of(config, folder)
    stored = dict(_tensors(folder))
    weights: Weights = {}
    for name, shape in parameter_shapes(model).items():
        theirs = hf_name(name)
        if theirs not in stored:
            raise ArtifactError(f"{folder} holds no tensor {theirs}; it is not a whole LlamaForCausalLM")
        if stored[theirs].shape != shape:
            raise ArtifactError(f"{folder}: {theirs} has shape {stored[theirs].shape}, config.json says {shape}")
        weights[name] = stored[theirs]
    return model, weights


def export_hf(
    weights: Mapping[str, npt.NDArray[np.float32]], model: Llama, tokenizer: Path | None, folder: Path
) -> None:
    """Writes a folder that AutoModelForCausalLM loads, and AutoTokenizer when it is given the tokenizer's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    end_id = export_tokenizer(tokenizer, folder).end_id if tokenizer else None
    (folder / "config.json").write_text(pretty(config_of(model, end_id)), encoding="utf-8")
    tensors = {hf_name(name): np.ascontiguousarray(weights[name]) for name in sorted(parameter_shapes(model))}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


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
    for name, value in wanted.items():
        if found[name] != value:
            raise ArtifactError(
                f"{folder / 'config.json'}: {name} is {found[name]!r}; the engine's llama has {value!r}"
            )
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


def _tensors(folder: Path) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    for path in sorted(folder.glob("*.safetensors")):
        with safetensors.safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (not a mapping)
                yield name, file.get_tensor(name).to(torch.float32).numpy()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read: {error}; a Hugging Face folder holds config.json") from error
    assert isinstance(value, dict)
    return value
