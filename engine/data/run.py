"""The entries of the data room: raw bytes, documents, clean, unique, train and held out, tokenizer, packed rows."""

from collections import Counter
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import assert_never

from pydantic import JsonValue

from engine.artifacts.draft import Draft
from engine.artifacts.placement import Placement
from engine.artifacts.read import Input, Inputs
from engine.data.chunks import chunks
from engine.data.clean import clean
from engine.data.dedup.compare import compare_drops
from engine.data.dedup.exact import exact_clusters
from engine.data.dedup.outcome import write_outcome
from engine.data.dedup.spec import (
    BandingRecall,
    CompareDrops,
    Decontaminate,
    Dedup,
    ExactDuplicates,
    MinHash,
    NearDuplicates,
)
from engine.data.documents import DocumentTable, refuse_empty, watched_documents
from engine.data.fim import fim
from engine.data.ingest import ingest
from engine.data.leaks.decontaminate import decontaminate
from engine.data.pack import pack
from engine.data.plant import plant
from engine.data.scratch import scratch_folder
from engine.data.sift import sift
from engine.data.sources.archive import contents, select
from engine.data.sources.fetch import file_name, resolve
from engine.data.sources.spec import RawFile
from engine.data.spec import (
    Chunks,
    Clean,
    FimPlan,
    HuggingFaceTokenizer,
    Ingest,
    PackPlan,
    Plant,
    SentencePieceBpe,
    Split,
    Tokenizer,
)
from engine.data.split import is_heldout
from engine.data.tokenizer import TokenizerInfo, write_tokenizer
from engine.data.tokenizers.sample import characters, fair_shares, sample
from engine.spec.errors import ArtifactError


def run_ingest(stage: Ingest, _inputs: Inputs, out: Draft, placement: Placement) -> dict[str, JsonValue]:
    """Raw bytes to documents."""
    return ingest(stage, out, placement)


def run_clean(stage: Clean, inputs: Inputs, out: Draft, placement: Placement) -> dict[str, JsonValue]:
    """Documents through cleaning steps."""
    return sift(inputs.one(stage.documents), partial(clean, stage.steps), out, placement, "clean")


def run_dedup(stage: Dedup, inputs: Inputs, out: Draft, placement: Placement) -> dict[str, JsonValue]:
    """One document of each cluster of duplicates."""
    source = inputs.one(stage.documents)
    with scratch_folder(out) as folder:
        match stage.method:
            case ExactDuplicates():
                found = exact_clusters(source, stage.scope == "local", stage.keep, folder)
            case NearDuplicates():
                from engine.data.dedup.near import near_clusters  # wants libraries of the extra `data`

                bands, local = inputs.one(stage.method.bands), stage.scope == "local"
                found = near_clusters(source, bands, stage.method, local, stage.keep, folder, placement)
            case _:
                assert_never(stage.method)
        return write_outcome(source, found, out, folder, placement)


def run_compare_drops(stage: CompareDrops, inputs: Inputs, out: Draft, _placement: Placement) -> dict[str, JsonValue]:
    """What one stage dropped and another did not."""
    dropped, unless = inputs.one(stage.dropped), inputs.one(stage.unless)
    with scratch_folder(out) as folder:
        return compare_drops(dropped, inputs.one(stage.documents), unless, out, folder)


def run_minhash(stage: MinHash, inputs: Inputs, out: Draft, placement: Placement) -> dict[str, JsonValue]:
    """The bands of every document."""
    from engine.data.dedup.minhash import minhash  # wants libraries of the extra `data`

    return minhash(stage, inputs.one(stage.documents), out, placement)


def run_decontaminate(stage: Decontaminate, inputs: Inputs, out: Draft, placement: Placement) -> dict[str, JsonValue]:
    """The documents that repeat no protected one."""
    return decontaminate(stage, inputs, out, placement)


def run_banding_recall(stage: BandingRecall, inputs: Inputs, out: Draft, _placement: Placement) -> dict[str, JsonValue]:
    """How often graded pairs share a band."""
    from engine.data.dedup.recall import banding_recall  # wants libraries of the extra `data`

    scores = banding_recall(stage, inputs.one(stage.documents))
    out.json("scores", "scores.json", scores)
    out.close("scores")
    return scores


def run_plant(stage: Plant, inputs: Inputs, out: Draft, _placement: Placement) -> dict[str, JsonValue]:
    """Documents with copies of some of them."""
    return plant(stage, inputs.one(stage.documents), out)


def run_split(stage: Split, inputs: Inputs, out: Draft, _placement: Placement) -> dict[str, JsonValue]:
    """Held-out documents apart from those for training."""
    source = inputs.one(stage.documents)
    with DocumentTable(out, "train") as train, DocumentTable(out, "heldout") as heldout:
        for document in watched_documents(source, "split"):
            (heldout if is_heldout(document, stage) else train).add(document)
        refuse_empty(train.documents + heldout.documents, f"{source.run} has none")
        _refuse_one_sided(train.documents, heldout.documents, stage)
    return {"train": train.metrics(), "heldout": heldout.metrics()}


def run_tokenizer(stage: Tokenizer, inputs: Inputs, out: Draft, placement: Placement) -> dict[str, JsonValue]:
    """Trains or loads the tokenizer; writes `model`."""
    match stage.method:
        case SentencePieceBpe():
            info, data, metrics = _trained(stage.method, inputs.one(stage.method.documents))
        case HuggingFaceTokenizer():
            info, data, metrics = _published(stage.method, placement)
        case _:
            assert_never(stage.method)
    write_tokenizer(out, "model", info, data)
    return {"vocabulary": info.vocabulary, "end_id": info.end_id, **metrics}


def run_pack(stage: PackPlan, inputs: Inputs, out: Draft, placement: Placement) -> dict[str, JsonValue]:
    """Encodes, cuts and deals; writes `rows`, `provenance` and `dropped`."""
    return pack(stage, inputs, out, placement)


def run_chunks(stage: Chunks, inputs: Inputs, out: Draft, _placement: Placement) -> dict[str, JsonValue]:
    """Cuts chunks to one length, and spoils some; writes `rows` and `provenance`."""
    return chunks(stage, inputs, out)


def run_fim(stage: FimPlan, inputs: Inputs, out: Draft, placement: Placement) -> dict[str, JsonValue]:
    """Puts rows into fill-in-the-middle form; writes `rows`, `provenance` and `choices`."""
    return fim(stage, inputs, out, placement)


def _refuse_one_sided(train: Counter[str], heldout: Counter[str], stage: Split) -> None:
    if train.total() and heldout.total():
        return
    side = "train" if train.total() else "heldout"
    raise ArtifactError(
        f"all {train.total() + heldout.total()} documents fell into `{side}`, at heldout={stage.heldout}, by "
        f"{stage.by}; give more documents, another fraction or another seed"
    )


def _trained(method: SentencePieceBpe, source: Input) -> tuple[TokenizerInfo, bytes, dict[str, JsonValue]]:
    from engine.data.tokenizers import sentencepiece_bpe  # not in the base install

    shares = fair_shares(characters(watched_documents(source, "counting characters")), method.train_chars)
    data = sentencepiece_bpe.train(method, sample(watched_documents(source, "reading the training text"), shares))
    info = TokenizerInfo(
        kind="sentencepiece_bpe",
        file="tokenizer.model",
        vocabulary=method.vocabulary,
        end_id=sentencepiece_bpe.END_ID,
    )
    return info, data, {"characters": dict(sorted(shares.items()))}


def _published(method: HuggingFaceTokenizer, placement: Placement) -> tuple[TokenizerInfo, bytes, dict[str, JsonValue]]:
    from engine.data.tokenizers import huggingface  # not in the base install

    data = _bytes_of(method.file, placement)
    end_id = huggingface.check(method.vocabulary, method.separator, data, file_name(method.file))
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
