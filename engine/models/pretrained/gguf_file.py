"""A GGUF file of a LLaMA: its metadata as a spec, its tensors in fp32 one by one, its tokenizer as tokenizer.json.

A block-quantised number is d * q + m (or d * q), two fp32 operations each rounded by itself: equal on every machine.
llama.cpp interleaves the two halves of every query and key head; here they are put back side by side.
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.models.llama_shapes import llama_shapes
from engine.models.pretrained.stored import Array, Stored, check_names
from engine.models.spec import Llama
from engine.spec.errors import ArtifactError

if TYPE_CHECKING:  # behind an extra
    from gguf import GGUFReader, ReaderTensor

OUTER = {"embedding": "token_embd", "norm": "output_norm", "head": "output"}
INNER = {
    "attention_norm": "attn_norm",
    "attention.query": "attn_q",
    "attention.key": "attn_k",
    "attention.value": "attn_v",
    "attention.output": "attn_output",
    "mlp_norm": "ffn_norm",
    "mlp.gate": "ffn_gate",
    "mlp.up": "ffn_up",
    "mlp.down": "ffn_down",
}
FIXED = {"expert_count": 0, "rope.scaling.type": "none"}  # what the engine's module always does
_BROKEN = (ValueError, KeyError, IndexError, TypeError, OverflowError, EOFError, AttributeError)


def read_gguf(path: Path, where: str) -> Stored:
    """The model of a file; ArtifactError when it cannot be read, or is none that the engine has a module for."""
    from gguf import GGUFReader

    with _readable(where):
        reader = GGUFReader(path)
        model = _spec(reader, where)
        tensors = {tensor.name: tensor for tensor in reader.tensors}
    check_names(where, (gguf_name(name) for name in llama_shapes(model)), tensors)

    def read(name: str) -> Array:
        with _readable(where):
            return _in_order(_dequantised(tensors[gguf_name(name)], where), name, model)

    return Stored(where, model, Counter(tensor.tensor_type.name for tensor in tensors.values()), read)


def gguf_name(name: str) -> str:
    """llama.cpp's name of a parameter of the engine's module."""
    module = name.removesuffix(".weight")
    if module in OUTER:
        return f"{OUTER[module]}.weight"
    _, layer, inner = module.split(".", 2)
    return f"blk.{layer}.{INNER[inner]}.weight"


def tokenizer_json(path: Path, where: str, scratch: Path) -> bytes:
    """The tokenizer of a file as transformers reads it, as tokenizer.json; ArtifactError for one that it does not know.

    transformers leaves out how text is cut before byte pairs are merged, where that is not GPT-2's way.
    """
    from gguf import GGUFReader
    from transformers import AutoTokenizer

    with _readable(where):
        cut = str(_field(GGUFReader(path), "tokenizer.ggml.pre", "default"))
    if cut not in ("default", "gpt-2", "smollm"):
        raise ArtifactError(f"{where}: its tokenizer cuts text as {cut!r} does, which is not known here; name a folder")
    link = scratch / "model.gguf"
    link.symlink_to(path.resolve())
    with _readable(where):
        found = AutoTokenizer.from_pretrained(scratch, gguf_file=link.name)
    content: dict[str, Any] = json.loads(found.backend_tokenizer.to_str())
    if cut == "smollm":
        digits = {"type": "Digits", "individual_digits": True}  # each digit by itself
        content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [digits, content["pre_tokenizer"]]}
    return json.dumps(content, ensure_ascii=False).encode()


def _spec(reader: "GGUFReader", where: str) -> Llama:
    """The spec that the metadata state; ArtifactError names the first setting that the engine's module lacks."""
    family = _field(reader, "general.architecture", None)
    if family != "llama":
        raise ArtifactError(f"{where}: the engine reads GGUF files of the architecture 'llama', this is {family!r}")
    width, heads = _count(reader, "embedding_length"), _count(reader, "attention.head_count")
    wanted = {**FIXED, "rope.dimension_count": width // heads}
    for key, value in wanted.items():
        found = _field(reader, f"llama.{key}", value)
        if found != value:
            raise ArtifactError(f"{where}: llama.{key} is {found!r}; the engine's llama has {value!r}")
    names = {tensor.name: tensor for tensor in reader.tensors}
    return Llama(
        kind="llama",
        vocabulary=int(names["token_embd.weight"].shape[1]),
        layers=_count(reader, "block_count"),
        width=width,
        heads=heads,
        kv_heads=int(_field(reader, "llama.attention.head_count_kv", heads)),
        mlp=_count(reader, "feed_forward_length"),
        context=_count(reader, "context_length"),
        norm_eps=_decimal(_field(reader, "llama.attention.layer_norm_rms_epsilon", 1e-5)),
        rope_base=_decimal(_field(reader, "llama.rope.freq_base", 10000.0)),
        tied="output.weight" not in names,
    )


def _field(reader: "GGUFReader", key: str, default: object) -> Any:
    field = reader.get_field(key)
    return default if field is None else field.contents()


def _count(reader: "GGUFReader", key: str) -> int:
    return int(_field(reader, f"llama.{key}", None))


def _decimal(value: float) -> float:
    """The shortest decimal that is this fp32 number: files hold 1e-5 as 9.999999747378752e-06."""
    return float(str(np.float32(value)))


def _dequantised(tensor: "ReaderTensor", where: str) -> Array:
    from gguf.quants import dequantize

    try:
        value: Array = dequantize(tensor.data, tensor.tensor_type)
    except NotImplementedError as error:
        raise ArtifactError(
            f"{where}: {tensor.name} is {tensor.tensor_type.name}, which `gguf` cannot widen"
        ) from error
    return value


def _in_order(value: Array, name: str, model: Llama) -> Array:
    """Rows of queries and keys as transformers and the engine have them: first halves of a head, then second ones."""
    heads = {"query": model.heads, "key": model.kv_heads}.get(name.split(".")[-2])
    if heads is None:
        return value
    return value.reshape(heads, -1, 2, value.shape[-1]).swapaxes(1, 2).reshape(value.shape)


@contextmanager
def _readable(where: str) -> Iterator[None]:
    """Tells damage that a library found as an ArtifactError."""
    try:
        yield
    except _BROKEN as error:
        raise ArtifactError(f"{where} is no whole GGUF file that can be read: {error!r}") from error
