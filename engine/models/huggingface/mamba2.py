"""Mamba-2 as transformers' Mamba2ForCausalLM: names of tensors and config.json, both ways.

transformers' own defaults are not the paper's (8 groups, an untied head, another spread), so every field is written,
and a field that is missing in a folder has transformers' default.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.models.huggingface.folder import refuse_unless
from engine.models.mamba2_shapes import heads
from engine.models.spec import Mamba2

OUTER = {"embedding.weight": "backbone.embeddings.weight", "norm.weight": "backbone.norm_f.weight",
         "head.weight": "lm_head.weight"}  # fmt: skip
INNER = {"input": "in_proj", "conv": "conv1d", "output": "out_proj", "a_log": "A_log", "d": "D"}
FIXED = {"hidden_act": "silu", "use_bias": False, "use_conv_bias": True, "residual_in_fp32": True}
DEFAULTS = {
    "vocab_size": 32768, "hidden_size": 4096, "num_hidden_layers": 64, "num_heads": 128, "head_dim": 64,
    "state_size": 128, "conv_kernel": 4, "expand": 2, "n_groups": 8, "layer_norm_epsilon": 1e-5,
    "tie_word_embeddings": False,
}  # fmt: skip
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
    found = {**FIXED, **DEFAULTS, **config}
    inner = found["expand"] * found["hidden_size"]
    found["heads x head_dim"] = found["num_heads"] * found["head_dim"]
    refuse_unless(found, {**FIXED, "model_type": "mamba2", "heads x head_dim": inner}, folder, "mamba2")
    return Mamba2(
        kind="mamba2",
        vocabulary=found["vocab_size"],
        layers=found["num_hidden_layers"],
        width=found["hidden_size"],
        state=found["state_size"],
        conv=found["conv_kernel"],
        expand=found["expand"],
        head_width=found["head_dim"],
        groups=found["n_groups"],
        context=found.get("max_position_embeddings", CONTEXT),
        norm_eps=float(found["layer_norm_epsilon"]),
        dt_limit=_limit(found.get("time_step_limit")),
        tied=found["tie_word_embeddings"],
    )


def _limit(found: Any) -> tuple[float, float] | None:
    """An interval that clamps nothing is none; infinity is written as a number, a text, or {"__float__": a text}."""
    if found is None:
        return None
    low, high = (float(end["__float__"] if isinstance(end, dict) else end) for end in found)
    return None if low <= 0.0 and high == math.inf else (low, high)
