"""A Hugging Face folder on disk: config.json, safetensors (never a pickle), and a modelling file of ours."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.spec.errors import ArtifactError

TEMPLATES = Path(__file__).parent / "templates"


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


def read_json(path: Path) -> dict[str, Any]:
    """An object of JSON; ArtifactError when the file is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read: {error}; a Hugging Face folder holds config.json") from error
    if not isinstance(value, dict):
        raise ArtifactError(f"{path} holds {type(value).__name__}, not an object of JSON")
    return value
