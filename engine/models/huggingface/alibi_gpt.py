"""alibi_gpt as a model of our own in transformers' form: names of tensors, config.json, and its modelling file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engine.models.huggingface.folder import auto_map
from engine.models.spec import AlibiGpt
from engine.spec.canonical import plain
from engine.spec.errors import ArtifactError

MODEL_TYPE = "facsimile_alibi_gpt"
FIELDS = {
    "vocab_size": "vocabulary",
    "hidden_size": "width",
    "num_hidden_layers": "layers",
    "num_attention_heads": "heads",
    "intermediate_size": "mlp",
    "max_position_embeddings": "context",
    "layer_norm_eps": "norm_eps",
    "position": "position",
    "mup": "mup",
    "linear": "linear",
    "init": "init",
}
"""config.json's names of the spec's fields. Tensors are named as in the engine's module."""


def config_of(model: AlibiGpt, end_id: int | None) -> dict[str, Any]:
    """config.json of a spec."""
    fields: dict[str, Any] = {name: plain(value) for name, value in model}  # plain(model) leaves neutral fields out
    return {
        "architectures": ["AlibiGptForCausalLM"],
        "auto_map": auto_map("modeling_alibi_gpt", "AlibiGptConfig", "AlibiGptForCausalLM"),
        "model_type": MODEL_TYPE,
        "dtype": "float32",
        **{theirs: fields[ours] for theirs, ours in FIELDS.items()},
        "initializer_range": model.init.std,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": end_id,
    }


def spec_of(config: Mapping[str, Any], folder: Path) -> AlibiGpt:
    """The spec of a config.json that `config_of` wrote; ArtifactError names the field that is missing or wrong."""
    missing = [name for name in FIELDS if name not in config]
    if missing:
        raise ArtifactError(f"{folder / 'config.json'} has no {missing[0]}; export the model again")
    try:
        return AlibiGpt(kind="alibi_gpt", **{ours: config[theirs] for theirs, ours in FIELDS.items()})
    except ValidationError as error:
        raise ArtifactError(f"{folder / 'config.json'} is no alibi_gpt of the engine: {error}") from error
