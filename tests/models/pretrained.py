"""A tiny published model for tests of imports: as a Hugging Face folder, plain or sharded, and as a GGUF file."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from engine.artifacts.draft import Draft
from engine.artifacts.placement import Placement
from engine.artifacts.read import Inputs, read_tensors
from engine.data.sources.spec import LocalFile
from engine.models.huggingface import config_of, hf_name
from engine.models.init import initial_weights, parameter_shapes
from engine.models.llama_shapes import llama_shapes
from engine.models.pretrained.folder import read_folder
from engine.models.pretrained.gguf_file import gguf_name
from engine.models.pretrained.spec import GgufFile, HfFolder, Import, PublishedTokenizer, WeightSource
from engine.models.pretrained.stored import checked
from engine.models.run import run_import
from engine.models.spec import Llama, Model
from tests.data.given import place

TINY = Llama(kind="llama", vocabulary=328, layers=2, width=64, heads=4, kv_heads=2, mlp=32, context=32, tied=True)
Arrays = dict[str, np.ndarray]


def weights_of(model: Model = TINY) -> Arrays:
    """Weights by the engine's names."""
    return dict(initial_weights(model, 7))


def as_hf(model: Model, weights: Mapping[str, np.ndarray]) -> Arrays:
    """Weights by transformers' names."""
    return {hf_name(name, model): value for name, value in weights.items()}


def read_back(folder: Path) -> tuple[Model, Arrays]:
    """The spec and the weights of a folder, as an import reads them."""
    with ExitStack() as stack:
        stored = read_folder({path.name: path for path in folder.iterdir()}, folder.name, stack)
        shapes = parameter_shapes(stored.model)
        return stored.model, {name: checked(stored, name, shape).copy() for name, shape in shapes.items()}


def put_folder(folder: Path, model: Model, *shards: Mapping[str, Any], **config: Any) -> HfFolder:
    """Writes config.json and the shards, with an index when there are several."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config_of(model, 0) | config))
    names = ["model.safetensors"]
    if len(shards) > 1:
        names = [f"model-{n + 1:05d}-of-{len(shards):05d}.safetensors" for n in range(len(shards))]
        index = {name: file for file, shard in zip(names, shards, strict=True) for name in shard}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    for name, shard in zip(names, shards, strict=True):
        save_file(dict(shard), folder / name)
    return folder_source(folder)


def folder_source(folder: Path) -> HfFolder:
    """All files of a folder inside a project, each with its sha256."""
    files = (local(path, folder.parent) for path in sorted(folder.iterdir()))
    return HfFolder(kind="folder", files=tuple(files))


def local(path: Path, root: Path) -> LocalFile:
    """A file of the project."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return LocalFile(kind="file", path=path.relative_to(root).as_posix(), sha256=digest, licence="MIT")


def put_gguf(path: Path, model: Llama, weights: Mapping[str, np.ndarray], **changes: Any) -> GgufFile:
    """Writes a GGUF file as llama.cpp's converter does: matrices of the blocks in Q8_0, the rest as it is."""
    from gguf import GGMLQuantizationType, GGUFWriter
    from gguf.quants import quantize

    writer = GGUFWriter(path, changes.get("architecture", "llama"))
    writer.add_block_count(model.layers)
    writer.add_context_length(model.context)
    writer.add_embedding_length(model.width)
    writer.add_feed_forward_length(model.mlp)
    writer.add_head_count(model.heads)
    writer.add_head_count_kv(model.kv_heads)
    writer.add_layer_norm_rms_eps(model.norm_eps)
    writer.add_rope_freq_base(model.rope_base)
    writer.add_rope_dimension_count(changes.get("rope", model.width // model.heads))
    for name in llama_shapes(model):
        value = interleaved(name, weights[name], model)
        if ".mlp." in name or ".attention." in name:
            kind = GGMLQuantizationType.Q8_0
            writer.add_tensor(gguf_name(name), quantize(value, kind), raw_dtype=kind)
        else:
            writer.add_tensor(gguf_name(name), value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return GgufFile(kind="gguf", file=local(path, path.parent))


def interleaved(name: str, value: np.ndarray, model: Llama) -> np.ndarray:
    """Rows of queries and keys as llama.cpp has them."""
    heads = {"query": model.heads, "key": model.kv_heads}.get(name.split(".")[-2])
    if heads is None:
        return value
    return np.ascontiguousarray(value.reshape(heads, 2, -1, value.shape[-1]).swapaxes(1, 2)).reshape(value.shape)


def imported(
    root: Path,
    source: WeightSource,
    model: Model = TINY,
    tokenizer: PublishedTokenizer | None = None,
    placement: Placement | None = None,
) -> tuple[Arrays, dict[str, Any]]:
    """What an import of a source inside `root` writes, and its metrics; its artifact is `root`/draft."""
    stage = Import(kind="import", model=model, source=source, tokenizer=tokenizer)
    (root / "draft").mkdir(exist_ok=True)
    metrics = run_import(stage, Inputs({}), Draft(root / "draft"), placement or place(root))
    return read_tensors(root / "draft" / "weights", "model"), metrics
