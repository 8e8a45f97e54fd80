"""A Hugging Face folder as files by name: config.json as a spec, safetensors in fp32 one tensor at a time."""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch

from engine.models.huggingface import hf_name, spec_of
from engine.models.huggingface.folder import read_json
from engine.models.init import parameter_shapes
from engine.models.pretrained.files import CONFIG, INDEX, WEIGHTS
from engine.models.pretrained.stored import Array, Stored, check_names
from engine.models.spec import Model
from engine.spec.errors import ArtifactError

DTYPES = ("F32", "F16", "BF16")  # all of them widen to fp32 without rounding
DERIVED = ".rotary_emb.inv_freq"  # a table that older files hold beside the weights


def read_folder(files: Mapping[str, Path], where: str, stack: ExitStack) -> Stored:
    """The model of a folder; its files stay open, memory-mapped, as long as `stack` does."""
    config = read_json(files[CONFIG])
    try:
        model = spec_of(config, Path(where))
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{where}/{CONFIG} is no config of a model of the engine: {error!r}") from error
    handles = {name: _open(path, f"{where}/{name}", stack) for name, path in files.items() if name.endswith(WEIGHTS)}
    places = {name: file for file, handle in handles.items() for name in handle.keys()}  # noqa: SIM118
    _check_shards(files, handles, places, where)
    names = {name: hf_name(name, model) for name in parameter_shapes(model)}
    heads = _second_heads(model, places)
    check_names(where, names.values(), [name for name in places if not name.endswith(DERIVED) and name not in heads])
    types = Counter(_dtype(handles[places[theirs]], theirs, where) for theirs in names.values())

    def read(name: str) -> Array:
        theirs = names[name]
        return _widened(handles[places[theirs]], theirs)

    for theirs in heads:
        if not np.array_equal(_widened(handles[places[theirs]], theirs), read("embedding.weight")):
            raise ArtifactError(f"{where}: {theirs} is not the embedding, but {CONFIG} says that the two are tied")
    return Stored(where, model, types, read)


def _open(path: Path, name: str, stack: ExitStack) -> Any:
    try:
        return stack.enter_context(safetensors.safe_open(path, framework="pt"))
    except safetensors.SafetensorError as error:
        raise ArtifactError(f"{name} is no whole safetensors file ({error}); nothing else is read") from error


def _check_shards(files: Mapping[str, Path], handles: Mapping[str, Any], places: Mapping[str, str], where: str) -> None:
    """That the index, if there is one, names the files at hand, and each tensor where it lies."""
    if INDEX not in files:
        if len(handles) > 1:
            raise ArtifactError(f"{where}: {len(handles)} files of weights, and no {INDEX} that says what lies where")
        return
    stated = read_json(files[INDEX]).get("weight_map")
    if not isinstance(stated, dict):
        raise ArtifactError(f"{where}/{INDEX} has no `weight_map`")
    missing = sorted(set(stated.values()) - set(handles))
    if missing:
        raise ArtifactError(f"{where}/{INDEX} names files that are not there: {', '.join(missing[:3])}; add them")
    odd = sorted(name for name in {*stated, *places} if stated.get(name) != places.get(name))
    if odd:
        name = odd[0]
        raise ArtifactError(f"{where}: {name} lies in {places.get(name)}, the index says {stated.get(name)}")


def _second_heads(model: Model, places: Mapping[str, str]) -> tuple[str, ...]:
    """A head that is stored although it is the embedding."""
    return tuple(
        name for name in ("lm_head.weight",) if name in places and "head.weight" not in parameter_shapes(model)
    )


def _dtype(handle: Any, name: str, where: str) -> str:
    found = str(handle.get_slice(name).get_dtype())
    if found not in DTYPES:
        raise ArtifactError(f"{where}: {name} is {found}; only {', '.join(DTYPES)} become fp32 without rounding")
    return found


def _widened(handle: Any, name: str) -> Array:
    value: Array = handle.get_tensor(name).to(torch.float32).numpy()
    return value
