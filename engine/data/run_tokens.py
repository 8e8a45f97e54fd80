"""The stages `tokenizer` and `pack`: from documents to a tokenizer, and to rows of token ids in training order."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import assert_never

from pydantic import JsonValue

from engine.artifacts.draft import Draft
from engine.artifacts.placement import Placement
from engine.artifacts.progress import progress
from engine.artifacts.read import Input, Inputs
from engine.data.documents import Document, read_documents
from engine.data.pack import pack
from engine.data.sources.archive import contents, select
from engine.data.sources.fetch import file_name, resolve
from engine.data.spec import HuggingFaceTokenizer, PackPlan, RawFile, SentencePieceBpe, Tokenizer
from engine.data.tokenizer import INFO, TokenizerInfo
from engine.data.tokenizers import huggingface, sentencepiece_bpe
from engine.data.tokenizers.sample import characters, fair_shares, sample
from engine.spec.errors import ArtifactError


def run_tokenizer(stage: Tokenizer, inputs: Inputs, out: Draft, placement: Placement) -> dict[str, JsonValue]:
    """Trains or loads the tokenizer; writes `model`."""
    match stage.method:
        case SentencePieceBpe():
            info, data, metrics = _trained(stage.method, inputs.one(stage.method.documents))
        case HuggingFaceTokenizer():
            info, data, metrics = _published(stage.method, placement)
        case _:
            assert_never(stage.method)
    with out.file("model", info.file) as file:
        file.write(data)
    out.json("model", INFO, info)
    out.close("model")
    return {"vocabulary": info.vocabulary, "end_id": info.end_id, **metrics}


def run_pack(stage: PackPlan, inputs: Inputs, out: Draft, placement: Placement) -> dict[str, JsonValue]:
    """Encodes, cuts and deals; writes `rows`, `provenance` and `dropped`."""
    return pack(stage, inputs.one(stage.documents), inputs.one(stage.tokenizer), out, placement.workers)


def _trained(method: SentencePieceBpe, source: Input) -> tuple[TokenizerInfo, bytes, dict[str, JsonValue]]:
    shares = fair_shares(characters(_read(source, "counting characters")), method.train_chars)
    data = sentencepiece_bpe.train(method, sample(_read(source, "reading the training text"), shares))
    info = TokenizerInfo(
        kind="sentencepiece_bpe",
        file="tokenizer.model",
        vocabulary=method.vocabulary,
        end_id=sentencepiece_bpe.END_ID,
    )
    return info, data, {"characters": dict(sorted(shares.items()))}


def _published(method: HuggingFaceTokenizer, placement: Placement) -> tuple[TokenizerInfo, bytes, dict[str, JsonValue]]:
    data = _bytes_of(method.file, placement)
    end_id = huggingface.check(method, data, file_name(method.file))
    info = TokenizerInfo(kind="huggingface", file="tokenizer.json", vocabulary=method.vocabulary, end_id=end_id)
    return info, data, {}


def _bytes_of(source: RawFile, placement: Placement) -> bytes:
    """The bytes of a file, or of the one member of an archive."""
    path, name = resolve(source, placement), file_name(source)
    if not source.members:
        return path.read_bytes()
    with TemporaryDirectory() as spool:
        members = select(path, name, source.members, Path(spool))
        if len(members) != 1:
            raise ArtifactError(f"{name}: a tokenizer is one file, members name {', '.join(m.name for m in members)}")
        ((_, data),) = ((member, stream.read()) for member, stream in contents(members, name))
    return data


def _read(source: Input, label: str) -> Iterator[Document]:
    parts = source.manifest.outputs[source.output].parts.values()
    total = sum(part.rows for part in parts if part.kind == "table")
    return progress(read_documents(source), total, "documents", label)
