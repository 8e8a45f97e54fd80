"""BTLM and CrystalCoder as Cerebras' converters write them: GPT-2's names and transposed matrices, muP, SwiGLU.

c_attn holds queries, keys and values side by side; c_fc2 is the gate of SwiGLU and c_fc what it multiplies; scores are
divided by the head's width. BTLM has ALiBi; CrystalCoder turns the first `rotary_dim` channels of each head, pairing
neighbours, with base 10000. Sources: LLM360/crystalcoder-train (config.json, loader and rotary embedding of its
fine-tuning code), Cerebras/modelzoo (BTLM converter), vLLM (Jais: same layout, and the older names of the scales).
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import numpy as np

from engine.kernels.attention.alibi import slopes
from engine.models.huggingface.settings import Settings
from engine.models.pretrained.layout import Layout, Place, placed
from engine.models.pretrained.stored import Array
from engine.models.spec import Alibi, AlibiGpt, MuP, PartialRotary
from engine.spec.errors import ArtifactError

Family = Literal["btlm", "crystalcoder"]
POSITIONS = {"btlm": "alibi", "crystalcoder": "rotary"}
READ = ("layer_norm_epsilon", "n_embd", "n_head", "n_inner", "n_layer", "n_positions", "vocab_size")
SCALES = ("mup_embeddings_scale", "mup_output_alpha", "mup_width_scale")
OLD_SCALES = ("embeddings_scale", "width_scale")
DROPOUT = ("attn_pdrop", "embd_pdrop", "resid_pdrop", "summary_first_dropout")  # of training alone
FIXED = {
    "activation_function": "swiglu", "scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False,
    "reorder_and_upcast_attn": False, "tie_word_embeddings": True, "mup_scale_qk_dot_by_d": True,
    "scale_qk_dot_by_d": True,
}  # fmt: skip
NEEDED = ("activation_function", "position_embedding_type")  # whose default in the published classes is another one
DERIVED = (".attn.bias", ".attn.masked_bias", ".relative_pe.slopes")  # causal masks; slopes of ALiBi
OUTER = {"embedding": "wte", "norm": "ln_f"}
INNER = {
    "attention_norm": "ln_1", "attention.output": "attn.c_proj", "mlp_norm": "ln_2", "mlp.gate": "mlp.c_fc2",
    "mlp.up": "mlp.c_fc", "mlp.down": "mlp.c_proj",
}  # fmt: skip
PARTS = ("attention.query", "attention.key", "attention.value")


def layout(family: Family, config: Mapping[str, Any], where: str) -> Layout:
    """The model of a folder; ArtifactError names the first setting that the engine's module cannot follow."""
    model = _spec(family, Settings(where, family, config))
    check = partial(_check_slopes, model, where)
    return Layout(model, placed(model, partial(_place, model)), DERIVED, check)


def _spec(family: Family, stated: Settings) -> AlibiGpt:
    rotary = ("rotary_dim",) if family == "crystalcoder" else ()
    custom = ("auto_map",)  # the classes whose layout this is
    fixed = {**FIXED, "position_embedding_type": POSITIONS[family]}
    stated.only((*READ, *SCALES, *OLD_SCALES, *DROPOUT, *rotary, *custom), fixed)
    scores = ("mup_scale_qk_dot_by_d", "scale_qk_dot_by_d")
    missing = [key for key in NEEDED if not stated.has(key)] + ([] if any(map(stated.has, scores)) else [scores[0]])
    if missing:
        raise ArtifactError(f"{stated.where} has no {missing[0]}; the engine's {family} has {fixed[missing[0]]!r}")
    width = stated.count("n_embd")
    heads = stated.divides("n_head", width, "n_embd")
    return AlibiGpt(
        kind="alibi_gpt",
        vocabulary=stated.count("vocab_size"),
        layers=stated.count("n_layer"),
        width=width,
        heads=heads,
        mlp=stated.count("n_inner"),
        context=stated.count("n_positions"),
        norm_eps=stated.number("layer_norm_epsilon"),
        position=_rotary(stated, width // heads) if rotary else Alibi(kind="alibi"),
        mup=_mup(stated, width),
    )


def _rotary(stated: Settings, head_width: int) -> PartialRotary:
    channels = stated.count("rotary_dim")
    if channels % 2 or channels > head_width:
        raise ArtifactError(f"{stated.where}: rotary_dim is {channels}, not an even number up to {head_width}")
    return PartialRotary(kind="partial_rotary", channels=channels)


def _mup(stated: Settings, width: int) -> MuP:
    """The scales under their newer names, or their older ones.

    The older ones state what logits are multiplied by as one number, here taken apart by the base width 256 that all
    published models have: logits come out the same whatever it is.
    """
    old = [key for key in OLD_SCALES if stated.has(key)]
    new = [key for key in SCALES if stated.has(key)]
    if old and new:
        raise ArtifactError(f"{stated.where} states the scales of muP twice: {', '.join(old + new)}")
    if old:
        base = MuP().base_width
        output = stated.number("width_scale") * width / base
        return MuP(base_width=base, embedding=stated.number("embeddings_scale"), output=output)
    scale = stated.number("mup_width_scale")
    base = round(scale * width)
    if base < 1 or abs(scale * width - base) > 1e-6 * base:
        raise ArtifactError(f"{stated.where}: mup_width_scale {scale} of n_embd {width} is no whole base width")
    return MuP(
        base_width=base, embedding=stated.number("mup_embeddings_scale"), output=stated.number("mup_output_alpha")
    )


def _place(model: AlibiGpt, name: str) -> Place:
    module, _, leaf = name.rpartition(".")
    if module in OUTER:
        return Place(f"transformer.{OUTER[module]}.{leaf}")
    _, layer, inner = module.split(".", 2)
    block = f"transformer.h.{layer}"
    if inner in PARTS:
        return Place(f"{block}.attn.c_attn.{leaf}", _third(model, PARTS.index(inner)))
    matrix = leaf == "weight" and not inner.endswith("norm")
    return Place(f"{block}.{INNER[inner]}.{leaf}", np.transpose) if matrix else Place(f"{block}.{INNER[inner]}.{leaf}")


def _third(model: AlibiGpt, part: int) -> Callable[[Array], Array]:
    """Queries, keys or values out of c_attn [inputs, 3 outputs], or out of its bias [3 outputs]."""

    def turn(value: Array) -> Array:
        found = value[..., part * model.width : (part + 1) * model.width].T
        if part < 2 and isinstance(model.position, PartialRotary) and len(found) == model.width:
            return _halves(found, model.heads, model.position.channels)
        return found

    return turn


def _halves(rows: Array, heads: int, channels: int) -> Array:
    """Rows of every head whose turning channels were neighbours in pairs: first all first ones, then all second ones.

    As rotate() wants them. Queries and keys move alike, so their products stay the same.
    """
    each = rows.reshape(heads, -1, *rows.shape[1:])
    return np.concatenate((each[:, 0:channels:2], each[:, 1:channels:2], each[:, channels:]), axis=1).reshape(
        rows.shape
    )


def _check_slopes(model: AlibiGpt, where: str, name: str, value: Array) -> None:
    """Stored slopes of ALiBi are the engine's, up to the eight bits of a bfloat16."""
    if not name.endswith(".slopes"):
        return
    wanted = np.array(slopes(model.heads))
    if value.size != model.heads or not np.abs(value.ravel() / wanted - 1).max() <= 2**-8:
        raise ArtifactError(f"{where}: {name} holds other slopes than those of ALiBi, {wanted[0]:.4g} and on")
