"""Mamba-2 as transformers' Mamba2ForCausalLM: names of tensors and config.json, both ways.

transformers' own defaults are not the paper's (8 groups, an untied head, another spread), so every field is written,
and a field that is missing in a folder has transformers' default.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.models.huggingface.settings import Settings
from engine.models.mamba2_shapes import heads
from engine.models.spec import Mamba2
from engine.spec.errors import ArtifactError

OUTER = {"embedding.weight": "backbone.embeddings.weight", "norm.weight": "backbone.norm_f.weight",
         "head.weight": "lm_head.weight"}  # fmt: skip
INNER = {"input": "in_proj", "conv": "conv1d", "output": "out_proj", "a_log": "A_log", "d": "D"}
FIXED = {"hidden_act": "silu", "use_bias": False, "use_conv_bias": True, "residual_in_fp32": True}
DEFAULTS = {
    "vocab_size": 32768, "hidden_size": 4096, "num_hidden_layers": 64, "num_heads": 128, "head_dim": 64,
    "state_size": 128, "conv_kernel": 4, "expand": 2, "n_groups": 8, "layer_norm_epsilon": 1e-5,
    "tie_word_embeddings": False,
}  # fmt: skip
UNUSED = (
    "chunk_size", "norm_before_gate", "rescale_prenorm_residual", "rms_norm", "time_step_floor", "time_step_max",
    "time_step_min", "time_step_rank",
)  # fmt: skip
"""Initialisation and cutting of the scan; and two that transformers' class writes but never reads."""
CONTEXT = 2048  # what the published Mamba-2 models were trained on; transformers' config.json has no such field


def hf_name(name: str) -> str:
    """transformers' name of a parameter of the engine's module."""
    if name in OUTER:
        return OUTER[name]
    _, layer, *inner = name.split(".")
    return ".".join(("backbone.layers", layer, *(INNER.get(word, word) for word in inner)))


def config_of(model: Mamba2, end_id: int | None) -> dict[str, Any]:
    """transformers' config.json of a spec."""
    limit = {} if model.dt_limit is None else {"time_step_limit": list(model.dt_limit)}
    return {
        **FIXED,
        **limit,
        "architectures": ["Mamba2ForCausalLM"],
        "model_type": "mamba2",
        "dtype": "float32",
        "vocab_size": model.vocabulary,
        "hidden_size": model.width,
        "num_hidden_layers": model.layers,
        "num_heads": heads(model),
        "head_dim": model.head_width,
        "state_size": model.state,
        "conv_kernel": model.conv,
        "expand": model.expand,
        "n_groups": model.groups,
        "chunk_size": 256,
        "layer_norm_epsilon": model.norm_eps,
        "max_position_embeddings": model.context,
        "tie_word_embeddings": model.tied,
        "initializer_range": model.init.embedding_std,
        "time_step_min": model.init.dt[0],
        "time_step_max": model.init.dt[1],
        "time_step_floor": model.init.dt_floor,
        "rescale_prenorm_residual": False,  # true: transformers 5.23 divides out_proj by sqrt(layers) as it loads it
        "bos_token_id": None,
        "eos_token_id": end_id,
        "pad_token_id": None,
    }


def spec_of(config: Mapping[str, Any], folder: Path) -> Mamba2:
    """The spec of a config.json, its init the paper's; ArtifactError names the first setting we cannot follow."""
    stated = Settings(str(folder / "config.json"), "mamba2", {**DEFAULTS, **config})
    stated.only({*DEFAULTS, *UNUSED, "max_position_embeddings", "time_step_limit"}, FIXED)
    width, expand = stated.count("hidden_size"), stated.count("expand")
    head_width = stated.count("head_dim")
    inner = Settings(stated.where, "mamba2", {"heads x head_dim": stated.count("num_heads") * head_width})
    inner.fixed({"heads x head_dim": expand * width})
    return Mamba2(
        kind="mamba2",
        vocabulary=stated.count("vocab_size"),
        layers=stated.count("num_hidden_layers"),
        width=width,
        state=stated.count("state_size"),
        conv=stated.count("conv_kernel"),
        expand=expand,
        head_width=head_width,
        groups=stated.divides("n_groups", stated.count("num_heads"), "num_heads"),
        context=stated.count("max_position_embeddings", CONTEXT),
        norm_eps=stated.number("layer_norm_epsilon"),
        dt_limit=limit(stated, "time_step_limit"),
        tied=stated.flag("tie_word_embeddings", False),
    )


def limit(stated: Settings, key: str) -> tuple[float, float] | None:
    """An interval that clamps nothing is none; infinity is written as a number, a text, or {"__float__": a text}."""
    if not stated.has(key):
        return None
    found = stated.found[key]
    try:
        low, high = (float(end["__float__"] if isinstance(end, dict) else end) for end in found)
    except (TypeError, ValueError, KeyError) as error:
        raise ArtifactError(f"{stated.where}: {key} is {found!r}, not two numbers") from error
    return None if low <= 0.0 and high == math.inf else (low, high)
