"""A Hugging Face folder: names of tensors and config.json both ways, and its export as safetensors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from engine.data.tokenizers.export import export_tokenizer
from engine.models.huggingface import alibi_gpt, binary, llama, mamba2
from engine.models.huggingface.folder import write_modelling
from engine.models.init import parameter_shapes
from engine.models.spec import AlibiGpt, Llama, Mamba2, Model
from engine.spec.canonical import pretty
from engine.spec.errors import ArtifactError


def export_hf(
    weights: Mapping[str, npt.NDArray[np.float32]], model: Model, tokenizer: Path | None, folder: Path
) -> None:
    """Writes a folder that AutoModelForCausalLM loads, and AutoTokenizer when it is given the tokenizer's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    end_id = export_tokenizer(tokenizer, folder).end_id if tokenizer else None
    config = config_of(model, end_id)
    (folder / "config.json").write_text(pretty(config), encoding="utf-8")
    write_modelling(config, folder)
    found = {hf_name(name, model): np.ascontiguousarray(weights[name]) for name in sorted(parameter_shapes(model))}
    save_file(found, folder / "model.safetensors", metadata={"format": "pt"})


def hf_name(name: str, model: Model) -> str:
    """transformers' name of a parameter of the engine's module."""
    match model:
        case Llama():
            return binary.named(name, llama.hf_name, model.linear)
        case AlibiGpt():
            return name
        case Mamba2():
            return binary.named(name, mamba2.hf_name, model.linear)
        case _:
            assert_never(model)


def config_of(model: Model, end_id: int | None) -> dict[str, Any]:
    """config.json of a spec."""
    match model:
        case Llama():
            return binary.configured(llama.config_of(model, end_id), model.linear)
        case AlibiGpt():
            return alibi_gpt.config_of(model, end_id)
        case Mamba2():
            return binary.configured(mamba2.config_of(model, end_id), model.linear)
        case _:
            assert_never(model)


def spec_of(config: Mapping[str, Any], folder: Path) -> Model:
    """The spec of a config.json; ArtifactError names the first setting that no module of the engine can follow."""
    config, how = binary.split(config)
    match config.get("model_type"):
        case "llama":
            return llama.spec_of(config, folder).replace(linear=how)
        case "mamba2":
            return mamba2.spec_of(config, folder).replace(linear=how)
        case alibi_gpt.MODEL_TYPE:
            return alibi_gpt.spec_of(config, folder)
        case other:
            raise ArtifactError(f"{folder / 'config.json'}: the engine has no module for model_type {other!r}")
