"""What the stages of the data room cost: bytes of text a second of one core, and bytes on disk for each document.

    python -m bench.data_rates --texts FOLDER

CPU seconds of this process, so that a busy machine hardly shows; FOLDER holds JSON Lines with a `text`, for instance
the seven-domain sample of RedPajama. What it prints stands in engine/compile/estimate/rates.py, for `facsimile plan`.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from pydantic import JsonValue

from bench.memory import extra_memory
from engine.artifacts.draft import Draft
from engine.artifacts.placement import Placement
from engine.artifacts.read import Input, Inputs
from engine.data.cleaning.spec import CleanStep, Ftfy, GopherQuality, GopherRepetition, Language, SlimPajamaShort
from engine.data.dedup.spec import (
    Decontaminate,
    Dedup,
    ExactDuplicates,
    Keep,
    MinHash,
    NearDuplicates,
    SameText,
    SharedBand,
    SharedNgram,
)
from engine.data.documents import read_documents
from engine.data.readers.spec import JsonLines
from engine.data.run import run_clean, run_decontaminate, run_dedup, run_ingest, run_minhash, run_split
from engine.data.sources.spec import FileSource
from engine.data.spec import Clean, Ingest, Split
from engine.spec.canonical import plain
from engine.spec.ref import Ref
from tests.data.built import Built, bpe, build, packed, plan, trained

Work = Callable[[Draft], dict[str, JsonValue]]
CORPUS, BANDS, HELD = Ref("corpus@documents"), Ref("index@bands"), Ref("split@heldout")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=Path, required=True)
    with tempfile.TemporaryDirectory() as name:
        report(Path(name), sorted(parser.parse_args().texts.rglob("*.jsonl")))


def report(folder: Path, files: list[Path]) -> None:
    place = Placement(folder, folder / "artifacts", folder / "sources", None)
    stage = Ingest(kind="ingest", sources=tuple(source(folder, n, path) for n, path in enumerate(files)))
    built = timed("ingest", folder, lambda out: run_ingest(stage, Inputs({}), out, place))
    corpus = built.outputs["documents"]
    inputs = Inputs({str(CORPUS): (corpus,)})
    steps: dict[str, CleanStep] = {
        "ftfy": Ftfy(kind="ftfy"),
        "slimpajama_short": SlimPajamaShort(kind="slimpajama_short"),
        "language": Language(kind="language", keep=("en",)),
        "gopher_quality": GopherQuality(kind="gopher_quality"),
        "gopher_repetition": GopherRepetition(kind="gopher_repetition"),
    }
    for name, step in steps.items():
        clean = Clean(kind="clean", documents=CORPUS, steps=(step,))
        timed(f"clean.{name}", folder, lambda out, clean=clean: run_clean(clean, inputs, out, place), built)
    index = MinHash(kind="minhash", documents=CORPUS, seed=1)
    run_minhash_once(folder, index, inputs, place)
    bands = timed("minhash", folder, lambda out: run_minhash(index, inputs, out, place), built).outputs["bands"]
    made = replace(bands, manifest=bands.manifest.replace(stage=plain(index)))
    both = Inputs({str(CORPUS): (corpus,), str(BANDS): (made,)})
    for name, method in (("exact", ExactDuplicates(kind="exact")), ("near", NearDuplicates(kind="near", bands=BANDS))):
        dedup = Dedup(kind="dedup", documents=CORPUS, scope="global", method=method, keep=Keep())
        timed(f"dedup.{name}", folder, lambda out, dedup=dedup: run_dedup(dedup, both, out, place), built)
    split = Split(kind="split", documents=CORPUS, by="document", heldout=0.05, seed=1)
    parts = timed("split", folder, lambda out: run_split(split, inputs, out, place), built)
    held = Inputs({str(CORPUS): (corpus,), str(BANDS): (made,), str(HELD): (parts.outputs["heldout"],)})
    tests = {
        "exact": SameText(kind="exact"),
        "near": SharedBand(kind="near", bands=(BANDS,)),
        "ngram": SharedNgram(kind="ngram"),
    }
    for name, test in tests.items():
        leaks = Decontaminate(kind="decontaminate", documents=CORPUS, against=(HELD,), tests=(test,))
        timed(
            f"decontaminate.{name}", folder, lambda out, leaks=leaks: run_decontaminate(leaks, held, out, place), built
        )
    model = trained(folder, corpus, bpe(4096, 2_000_000)).outputs["model"]
    began = time.process_time()
    rows = packed(folder, corpus, model, plan(256, 36, 4096), run="rows")
    told("pack", text_bytes(built), time.process_time() - began, rows, 0, documents_of(built))


def source(folder: Path, number: int, path: Path) -> FileSource:
    """A copy of a file inside the folder of this bench, as a source."""
    (folder / f"{number}.jsonl").write_bytes(path.read_bytes())
    return FileSource(
        kind="file",
        name=f"source-{number}",
        domain="text",
        path=f"{number}.jsonl",
        sha256=sha256(path.read_bytes()).hexdigest(),
        licence="as declared",
        format=JsonLines(kind="jsonl"),
    )


def run_minhash_once(folder: Path, stage: MinHash, inputs: Inputs, place: Placement) -> None:
    """The kernel is compiled before anything is timed."""
    build(folder, "warm", lambda out: run_minhash(stage, inputs, out, place))


def timed(name: str, folder: Path, work: Work, corpus: Built | None = None) -> Built:
    """Runs a stage and prints what it cost; `corpus` is what it read, or nothing where it read files."""
    found: list[Built] = []
    began = time.process_time()
    extra = extra_memory(lambda: found.append(build(folder, f"{name}-built", work)))
    seconds = time.process_time() - began
    read = found[0] if corpus is None else corpus
    told(name, text_bytes(read), seconds, found[0], extra, documents_of(read))
    return found[0]


def told(name: str, read: int, seconds: float, built: Built, extra: int, documents: int) -> None:
    written = sum(bytes_of(output) for output in built.outputs.values())
    spilled = built.metrics.get("spilled_bytes", 0)
    spill = f"{spilled / documents:8.0f}" if isinstance(spilled, int) else ""
    print(
        f"{name:24} {read / seconds / 1e6:8.1f} MB/s  {written / documents:8.0f} B written, {spill} B spilled "
        f"a document  {extra / 2**20:6.0f} MiB extra",
        flush=True,
    )


def bytes_of(output: Input) -> int:
    return sum(path.stat().st_size for path in output.folder.rglob("*") if path.is_file())


def text_bytes(built: Built) -> int:
    return sum(len(document.text.encode()) for document in read_documents(built.outputs["documents"]))


def documents_of(built: Built) -> int:
    found = built.metrics["documents"]
    assert isinstance(found, dict)
    return sum(count for count in found.values() if isinstance(count, int))


if __name__ == "__main__":
    main()
