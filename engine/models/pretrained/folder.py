"""A Hugging Face folder as files by name: config.json as a spec, safetensors in fp32 one tensor at a time."""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from pydantic import ValidationError

from engine.models.huggingface import hf_name, llama, spec_of
from engine.models.huggingface.folder import read_json
from engine.models.init import parameter_shapes
from engine.models.pretrained import cerebras, fbi_llm, mamba_ssm
from engine.models.pretrained.files import CONFIG, INDEX, WEIGHTS
from engine.models.pretrained.layout import Layout, Place, placed
from engine.models.pretrained.stored import Array, Stored, check_names
from engine.models.spec import Model
from engine.spec.errors import ArtifactError

DTYPES = ("F32", "F16", "BF16")  # all of them widen to fp32 without rounding
DERIVED = (".rotary_emb.inv_freq",)  # a table that older files hold beside the weights


def read_folder(files: Mapping[str, Path], where: str, stack: ExitStack) -> Stored:
    """The model of a folder; its files stay open, memory-mapped, as long as `stack` does."""
    config = read_json(files[CONFIG])
    handles = {name: _open(path, f"{where}/{name}", stack) for name, path in files.items() if name.endswith(WEIGHTS)}
    places = {name: file for file, handle in handles.items() for name in handle.keys()}  # noqa: SIM118
    _check_shards(files, handles, places, where)
    shapes = {name: tuple(handles[file].get_slice(name).get_shape()) for name, file in places.items()}
    found = layout_of(config, shapes, where)
    derived = [name for name in places if name.endswith((*DERIVED, *found.derived))]
    heads = _second_heads(found.model, places)
    expected = dict.fromkeys(place.name for place in found.places.values())
    check_names(where, expected, [name for name in places if name not in (*heads, *derived)])
    types = Counter(_dtype(handles[places[theirs]], theirs, where) for theirs in expected)

    def stored(theirs: str) -> Array:
        return _widened(handles[places[theirs]], theirs)

    def read(name: str) -> Array:
        place = found.places[name]
        return place.turn(stored(place.name))

    for theirs in heads:
        if not np.array_equal(stored(theirs), read("embedding.weight")):
            raise ArtifactError(f"{where}: {theirs} is not the embedding, but {CONFIG} says that the two are tied")
    for theirs in derived:
        found.check_derived(theirs, stored(theirs))
    return Stored(where, found.model, types, read)


def layout_of(config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], where: str) -> Layout:
    """How the files of a folder hold a model; ArtifactError when it is none that the engine has a module for."""
    how, name = fbi_llm.linear_of(shapes, where), f"{where}/{CONFIG}"
    try:
        match config.get("model_type"):
            case "btlm" | "crystalcoder" as family:
                return cerebras.layout(family, config, name)
            case "llama":
                llama_model = llama.spec_of(config, Path(where)).replace(linear=how)
                return Layout(llama_model, placed(llama_model, lambda ours: fbi_llm.place(ours, llama.hf_name, how)))
            case None if mamba_ssm.is_one(config):
                mamba = mamba_ssm.spec_of(config, name, how)
                return Layout(mamba, placed(mamba, lambda ours: fbi_llm.place(ours, mamba_ssm.name_of, how)))
            case _:
                model = spec_of(config, Path(where))
                return Layout(model, placed(model, lambda ours: Place(hf_name(ours, model))))
    except ValidationError as error:
        (first, *_) = error.errors()
        field = ".".join(map(str, first["loc"]))
        raise ArtifactError(f"{name} states a model that the engine refuses: {field}: {first['msg']}") from error


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
