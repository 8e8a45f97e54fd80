"""Published weights in the engine's names and fp32, one tensor in memory at a time; their tokenizer beside them."""

import math
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import assert_never

from pydantic import JsonValue

from engine.artifacts.draft import Draft
from engine.artifacts.placement import Placement
from engine.artifacts.progress import progress
from engine.data.scratch import scratch_folder
from engine.data.tokenizer import TokenizerInfo, load_tokenizer, write_tokenizer
from engine.data.tokenizers import huggingface
from engine.models.init import parameter_shapes
from engine.models.pretrained.files import TOKENIZER, fetch, fetched, name_of
from engine.models.pretrained.folder import read_folder
from engine.models.pretrained.gguf_file import read_gguf, tokenizer_json
from engine.models.pretrained.spec import GgufFile, HfFolder, HubModel, HubName, Import, PublishedTokenizer
from engine.models.pretrained.stored import Stored, check_model, checked
from engine.spec.errors import ArtifactError


def take(stage: Import, out: Draft, placement: Placement) -> dict[str, JsonValue]:
    """Writes the outputs of an import; gives the number of parameters, and of tensors by the type they were stored in.

    ArtifactError when the files cannot be had, are damaged, or hold another model or tokenizer than the spec declares.
    """
    source = stage.source
    with scratch_folder(out) as scratch, ExitStack() as stack:
        match source:
            case GgufFile():
                path, where = fetch(source.file, placement, scratch), name_of(source.file)
                metrics = take_weights(stage, read_gguf(path, where), out)
                return metrics | take_tokenizer(
                    stage.tokenizer, lambda: tokenizer_json(path, where, scratch), where, out
                )
            case HfFolder() | HubModel():
                where = folder_name(source)
                files = fetched(source, placement, scratch)
                metrics = take_weights(stage, read_folder(files, where, stack), out)
                return metrics | take_tokenizer(stage.tokenizer, lambda: files[TOKENIZER].read_bytes(), where, out)
            case HubName():
                raise ArtifactError(
                    f"{source.repository} at {source.revision!r} is not pinned: write `kind: hub` with the commit in "
                    "40 digits and the sha256 of every file; `facsimile plan EXPERIMENT --pin FOLDER` writes them from "
                    "a snapshot that was downloaded"
                )
            case _:
                assert_never(source)


def folder_name(source: HfFolder | HubModel) -> str:
    """What messages call the folder."""
    match source:
        case HfFolder():
            return "the folder"
        case HubModel():
            return f"{source.repository}@{source.revision[:12]}"
        case _:
            assert_never(source)


def take_weights(stage: Import, stored: Stored, out: Draft) -> dict[str, JsonValue]:
    """Writes `weights`: tensors "model", as a checkpoint of a training run has them."""
    check_model(stage.model, stored)
    shapes = dict(parameter_shapes(stage.model))
    values = (checked(stored, name, shapes[name]) for name in sorted(shapes))
    out.streamed_tensors("weights", "model", shapes, progress(values, len(shapes), "tensors", f"import {stored.where}"))
    out.close("weights")
    return {
        "parameters": sum(math.prod(shape) for shape in shapes.values()),
        "stored": {name: stored.types[name] for name in sorted(stored.types)},
    }


def take_tokenizer(
    declared: PublishedTokenizer | None, read: Callable[[], bytes], where: str, out: Draft
) -> dict[str, JsonValue]:
    """Writes `tokenizer`, in the form of a tokenizer stage's `model`, when the spec asks for it."""
    if declared is None:
        return {}
    data = read()
    end_id = huggingface.check(declared.vocabulary, declared.separator, data, f"the tokenizer of {where}")
    info = TokenizerInfo(kind="huggingface", file=TOKENIZER, vocabulary=declared.vocabulary, end_id=end_id)
    write_tokenizer(out, "tokenizer", info, data)
    load_tokenizer(Path(out.folder) / "tokenizer")
    return {"vocabulary": info.vocabulary, "end_id": info.end_id}
