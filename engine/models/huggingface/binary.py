"""1-bit matrices in a Hugging Face folder of a family that transformers has: names, config.json, our modelling file.

A 1-bit matrix q_proj holds q_proj.latent, q_proj.alpha and q_proj.beta. Its latent is not called `weight`: a tool that
looks for that finds nothing, instead of a matrix that is not the one that is multiplied.
"""

from collections.abc import Callable, Mapping
from typing import Any, assert_never

from pydantic import ValidationError

from engine.models.huggingface.folder import auto_map
from engine.models.spec import Dense, FbiLinear, Linear
from engine.spec.canonical import plain
from engine.spec.errors import ArtifactError

PREFIX = "facsimile_binary_"
CLASSES = {"llama": "BinaryLlama", "mamba2": "BinaryMamba2"}
MATRIX = "_proj.weight"  # how both families end the names of the matrices inside blocks


def named(name: str, dense_name: Callable[[str], str], how: Linear) -> str:
    """transformers' name of a parameter, from its name in a family whose matrices are dense."""
    match how:
        case Dense():
            return dense_name(name)
        case FbiLinear():
            stem, _, leaf = name.rpartition(".")
            scale = leaf in ("alpha", "beta")
            theirs = dense_name(f"{stem}.weight" if scale else name)
            if not theirs.endswith(MATRIX):
                return theirs
            return theirs.removesuffix("weight") + (leaf if scale else "latent")
        case _:
            assert_never(how)


def configured(config: dict[str, Any], how: Linear) -> dict[str, Any]:
    """config.json with the classes of our modelling file, when matrices are 1-bit."""
    match how:
        case Dense():
            return config
        case FbiLinear():
            stem = CLASSES[config["model_type"]]
            return {
                **config,
                "architectures": [f"{stem}ForCausalLM"],
                "auto_map": auto_map("modeling_binary", f"{stem}Config", f"{stem}ForCausalLM"),
                "model_type": PREFIX + config["model_type"],
                "linear": plain(how),
            }
        case _:
            assert_never(how)


def split(config: Mapping[str, Any]) -> tuple[Mapping[str, Any], Linear]:
    """A config.json as that of the family with dense matrices, and what its matrices are."""
    kind = str(config.get("model_type"))
    if not kind.startswith(PREFIX):
        return config, Dense()
    try:
        how = FbiLinear.model_validate(config.get("linear"))
    except ValidationError as error:
        raise ArtifactError(f"config.json of {kind}: `linear` is not what the engine wrote: {error}") from error
    dense = {key: value for key, value in config.items() if key not in ("auto_map", "linear")}
    return {**dense, "model_type": kind.removeprefix(PREFIX)}, how
