"""Packing against the bare tokenizer on the same texts: tokens a second of CPU, the ratio, and the cost of tracing.

    python -m bench.pack [megabytes]

The texts are the sources of Python's standard library, so that nothing has to be fetched.
"""

import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import sentencepiece

from engine.artifacts.placement import Placement
from engine.artifacts.read import Input, Inputs
from engine.data.cut import Cutter
from engine.data.documents import Document, document_id
from engine.data.encode import Batch, Encoded, encode
from engine.data.mix.spec import Deal
from engine.data.pack import segments
from engine.data.provenance import check_rows, positions_of_document, trace_row
from engine.data.run import run_pack, run_tokenizer
from engine.data.spec import PackPlan, SentencePieceBpe, Tokenizer
from tests.data.built import build
from tests.data.built import documents as corpus_of

VOCABULARY = 4096
REPEATS = 4  # the best of; the two sides take turns, so that a busy machine hits both


def library(most_bytes: int) -> Iterator[Document]:
    """Python sources, up to so many bytes."""
    root, total = Path(sysconfig.get_path("stdlib")), 0
    for path in sorted(root.rglob("*.py")):
        text = path.read_text(encoding="utf-8", errors="ignore")
        total += len(text.encode())
        if total > most_bytes:
            return
        name = document_id("0" * 64, str(path))
        yield Document(name, "stdlib", "code", name, str(path.relative_to(root)), "PSF-2.0", text)


def seconds(*works: Callable[[], object]) -> list[float]:
    """The least CPU time of some tries of each; one thread works, and what else the machine does is left out."""
    return [min(times) for times in zip(*([once(work) for work in works] for _ in range(REPEATS)), strict=True)]


def once(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    megabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 8
    with tempfile.TemporaryDirectory() as name:
        report(Path(name), list(library(int(megabytes * 1e6))))


def report(folder: Path, documents: list[Document]) -> None:
    place = Placement(folder, folder, folder, None)
    corpus = corpus_of(folder, documents)
    method = SentencePieceBpe(
        kind="sentencepiece_bpe", documents="corpus@documents", vocabulary=VOCABULARY, train_chars=2_000_000
    )
    tokenizer = Tokenizer(kind="tokenizer", method=method)
    inputs = {"corpus@documents": (corpus,)}
    model = build(folder, "tokenizer", lambda out: run_tokenizer(tokenizer, Inputs(inputs), out, place)).outputs[
        "model"
    ]
    stage = PackPlan(
        kind="pack",
        documents="corpus@documents",
        tokenizer="tokenizer@model",
        row_tokens=256,
        mix=Deal(kind="deal", chunks=36),
        seed=0,
        vocabulary=VOCABULARY,
        tokenizer_kind="sentencepiece_bpe",
    )
    bare = sentencepiece.SentencePieceProcessor(model_file=str(model.folder / "tokenizer.model"))
    texts = [document.text for document in documents]
    found: dict[str, Input] = {}
    tries = iter(range(REPEATS))

    def pack() -> None:
        both = Inputs({**inputs, "tokenizer@model": (model,)})
        found.update(build(folder, f"pack{next(tries)}", lambda out: run_pack(stage, both, out, place)).outputs)

    def tokenize() -> None:
        batches.extend(encode(iter(documents), model.folder, model.digest, place))

    def cut() -> None:
        cutter = Cutter(stage.row_tokens)
        for number, (batch, encoded) in enumerate(batches):
            rows = cutter.push([document.id for document in batch], encoded)
            segments(rows, np.ones(len(rows.ids), np.bool_), number, "code")

    batches: list[tuple[Batch, Encoded]] = []
    bare_seconds, pack_seconds = seconds(lambda: bare.encode(texts, num_threads=1), pack)
    batch_seconds, own_seconds = seconds(
        lambda: bare.encode(texts, num_threads=1), lambda: (batches.clear(), tokenize())
    )
    (cut_seconds,) = seconds(cut)
    tokens = found["rows"].manifest.metrics["tokens"]["code"]
    rows, provenance = found["rows"], found["provenance"]
    print(f"{len(texts)} documents, {sum(len(text.encode()) for text in texts) / 1e6:.1f} MB, {tokens} tokens")
    print(f"bare batch    {tokens / bare_seconds:12,.0f} tokens/s")
    print(f"encode        {tokens / own_seconds:12,.0f} tokens/s   ratio {batch_seconds / own_seconds:.3f}")
    print(
        f"cut           {tokens / cut_seconds:12,.0f} tokens/s   {100 * cut_seconds / own_seconds:.1f}% of tokenizing"
    )
    print(f"pack stage    {tokens / pack_seconds:12,.0f} tokens/s   ratio {bare_seconds / pack_seconds:.3f}")
    print(f"check_rows    {once(lambda: check_rows(rows, provenance, corpus, model)):.2f} s for every row")
    print(f"trace_row     {1e3 * once(lambda: trace_row(rows, provenance, corpus, 100)):.1f} ms")
    by_document = once(lambda: positions_of_document(rows, provenance, corpus, documents[len(documents) // 2].id))
    print(f"positions of a document {1e3 * by_document:.1f} ms")


if __name__ == "__main__":
    main()
