"""Mamba-2 as the mamba_ssm library stores it: its own config.json without a model_type, and its names of tensors.

Names are those of transformers but for the embedding. A setting that the file leaves out has the library's default.
Sources: state-spaces/mamba and tangshengku/bi-mamba (model and mixer; its config files are of this form too).
"""

from collections.abc import Mapping
from typing import Any

from engine.models.huggingface.mamba2 import CONTEXT, limit
from engine.models.huggingface.mamba2 import hf_name as transformers_name
from engine.models.huggingface.settings import Settings
from engine.models.spec import Linear, Mamba2
from engine.spec.errors import ArtifactError

EMBEDDING = ("backbone.embeddings.weight", "backbone.embedding.weight")
READ = ("d_model", "n_layer", "pad_vocab_size_multiple", "ssm_cfg", "tie_embeddings", "vocab_size")
FIXED = {"d_intermediate": 0, "residual_in_fp32": True, "rms_norm": True}
UNUSED = ("attn_cfg", "fused_add_norm")  # of attention layers that are not there; how a sum and a norm are computed
MIXER = ("d_conv", "d_state", "dt_limit", "expand", "headdim", "layer", "ngroups")
MIXER_FIXED = {"D_has_hdim": False, "bias": False, "conv_bias": True, "norm_before_gate": False, "rmsnorm": True}
MIXER_UNUSED = ("A_init_range", "chunk_size", "conv_init", "dt_init_floor", "dt_max", "dt_min", "use_mem_eff_path")
NORM_EPS = 1e-5  # written in the library's code, not in its config.json


def is_one(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is of this form."""
    return "model_type" not in config and {"d_model", "ssm_cfg"} <= config.keys()


def name_of(name: str) -> str:
    """The library's name of a parameter of the engine's module with dense matrices."""
    return transformers_name(name).replace(*EMBEDDING)


def spec_of(config: Mapping[str, Any], where: str, how: Linear) -> Mamba2:
    """The spec of a config.json; ArtifactError names the first setting that the engine's module cannot follow."""
    stated = Settings(where, "mamba2", config)
    stated.only((*READ, *UNUSED), FIXED)
    mixer = stated.part("ssm_cfg")
    if mixer.found.get("layer") != "Mamba2":
        raise ArtifactError(f"{mixer.where}: layer is {mixer.found.get('layer')!r}; the engine's mamba2 has 'Mamba2'")
    width, expand = stated.count("d_model"), mixer.count("expand", 2)
    mixer.only((*MIXER, *MIXER_UNUSED), {**MIXER_FIXED, "d_ssm": expand * width})
    head_width = mixer.count("headdim", 64)
    if expand * width % head_width:
        raise ArtifactError(f"{mixer.where}: headdim is {head_width}, which does not divide {expand} x {width}")
    return Mamba2(
        kind="mamba2",
        vocabulary=_padded(stated),
        layers=stated.count("n_layer"),
        width=width,
        state=mixer.count("d_state", 128),
        conv=mixer.count("d_conv", 4),
        expand=expand,
        head_width=head_width,
        groups=mixer.count("ngroups", 1),
        context=CONTEXT,
        norm_eps=NORM_EPS,
        dt_limit=limit(mixer, "dt_limit"),
        tied=stated.flag("tie_embeddings", True),
        linear=how,
    )


def _padded(stated: Settings) -> int:
    """Rows of the embedding: the ids, and as many more as make a multiple."""
    several = stated.count("pad_vocab_size_multiple", 8)
    return -(-stated.count("vocab_size") // several) * several
