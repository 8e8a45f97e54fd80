"""A Hugging Face folder on disk: config.json, safetensors (never a pickle), and a modelling file of ours."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import torch

from engine.spec.errors import ArtifactError

TEMPLATES = Path(__file__).parent / "templates"


def refuse_unless(found: Mapping[str, Any], wanted: Mapping[str, Any], folder: Path, family: str) -> None:
    """ArtifactError with the first setting of a config.json that the engine's module cannot follow."""
    for name, value in wanted.items():
        if found[name] != value:
            raise ArtifactError(
                f"{folder / 'config.json'}: {name} is {found[name]!r}; the engine's {family} has {value!r}"
            )


def auto_map(modelling: str, config_class: str, model_class: str) -> dict[str, str]:
    """The entry of config.json by which transformers finds the classes of `templates/<modelling>.py` in the folder.

    A folder with such a file is loaded with trust_remote_code=True; the file imports torch and transformers alone.
    """
    return {"AutoConfig": f"{modelling}.{config_class}", "AutoModelForCausalLM": f"{modelling}.{model_class}"}


def write_modelling(config: Mapping[str, Any], folder: Path) -> None:
    """Writes the modelling file that a config.json names by its `auto_map`, if it names one."""
    if "auto_map" in config:
        file = f"{config['auto_map']['AutoModelForCausalLM'].partition('.')[0]}.py"
        (folder / file).write_bytes((TEMPLATES / file).read_bytes())


def read_config(folder: Path) -> dict[str, Any]:
    """config.json; ArtifactError when it cannot be read."""
    return read_json(folder / "config.json")


def tensors(folder: Path) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    for path in sorted(folder.glob("*.safetensors")):
        with safetensors.safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (not a mapping)
                yield name, file.get_tensor(name).to(torch.float32).numpy()


def read_json(path: Path) -> dict[str, Any]:
    """An object of JSON; ArtifactError when the file is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read: {error}; a Hugging Face folder holds config.json") from error
    if not isinstance(value, dict):
        raise ArtifactError(f"{path} holds {type(value).__name__}, not an object of JSON")
    return value
