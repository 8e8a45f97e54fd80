"""Near-duplicate removal beside other libraries: the same corpus, shingles and bands, one thread, turn about.

Read, clean, shingle, sign, band, connect, write: all of it is timed. Each turn is a fresh process. Peers live in an
environment of their own: python -m venv PEERS; PEERS/bin/pip install datasketch rensa pyarrow. Usage:

    python -m bench.minhash --texts FOLDER --peers PEERS

FOLDER holds JSON Lines with a `text`, for instance the seven-domain sample of RedPajama.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.memory import extra_memory
from engine.artifacts.placement import Placement
from engine.artifacts.read import Inputs
from engine.data.dedup.rolling import rolling
from engine.data.dedup.shingles import code_points
from engine.data.dedup.spec import Dedup, Keep, MinHash, NearDuplicates
from engine.data.documents import Document
from engine.data.run import run_dedup, run_minhash
from engine.spec.canonical import plain
from engine.spec.philox import generator
from engine.spec.ref import Ref
from tests.data.built import build, document, documents

OURS, PEERS = "this engine", ("datasketch", "rensa")
CHARS, DOCUMENTS, TURNS = 3200, 8_000, 3
COPIED = 0.3  # of the documents, with 1 word in 100 left out
PEER = Path(__file__).parent / "peers" / "minhash_peer.py"


def pieces(folder: Path) -> list[str]:
    """Real texts in pieces of about CHARS characters."""
    found: list[str] = []
    for path in sorted(folder.rglob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                text = json.loads(line)["text"]
                found += [text[begin : begin + CHARS] for begin in range(0, len(text) - CHARS // 2, CHARS)]
    return found


def corpus(folder: Path) -> Iterator[Document]:
    """DOCUMENTS texts: pieces as they are, then copies of pieces with words left out."""
    texts = pieces(folder)
    fresh = [text for text in texts if len(text) > CHARS // 2]
    for number in range(DOCUMENTS):
        stream = generator(1, "bench", f"{number}")
        lap, place = divmod(number, len(fresh))
        share = 0.01 if stream.uniform(1)[0] < COPIED else 0.5
        words = fresh[place].split(" ")
        kept = stream.uniform(len(words)) >= (share if lap else 0.0)
        yield document("all", number, " ".join(word for word, stays in zip(words, kept, strict=True) if stays))


def ours(folder: Path, parquet: Path) -> dict[str, Any]:
    """The minhash stage and the dedup stage; the input table is written before the clock starts."""
    signed = folder / "signed"
    stage = MinHash(kind="minhash", documents=Ref("corpus@documents"), seed=1)
    near = NearDuplicates(kind="near", bands=Ref("bands@bands"))
    unique = Dedup(kind="dedup", documents=stage.documents, scope="global", method=near, keep=Keep())
    texts = (text for batch in pq.ParquetFile(parquet).iter_batches(512) for text in batch.column("text").to_pylist())
    given = documents(folder, (document("all", number, text) for number, text in enumerate(texts)))
    place = Placement(folder, folder, folder, None)
    found: dict[str, Any] = {}

    def work() -> None:
        inputs = Inputs({stage.documents: (given,)})
        made = build(signed, "bands", lambda out: run_minhash(stage, inputs, out, place)).outputs["bands"]
        bands = replace(made, manifest=made.manifest.replace(stage=plain(stage)))
        both = Inputs({stage.documents: (given,), near.bands: (bands,)})
        found["kept"] = build(folder, "unique", lambda out: run_dedup(unique, both, out, place)).metrics["documents"]

    begin = time.perf_counter()
    memory = extra_memory(work)
    return {"seconds": time.perf_counter() - begin, "bytes": memory, "kept": found["kept"]["all"]}


def turn(name: str, parquet: Path, peers: Path | None) -> dict[str, Any]:
    """One run in a fresh process with one thread."""
    with tempfile.TemporaryDirectory(dir=parquet.parent) as folder:
        command = [sys.executable, "-m", "bench.minhash", "--turn", str(parquet)]
        if name != OURS:
            assert peers is not None
            command = [str(peers / "bin" / "python"), str(PEER), name, str(parquet), f"{folder}/kept.parquet"]
        threads = dict.fromkeys(("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
        done = subprocess.run(command, env={**os.environ, **threads}, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def bare_hash(texts: list[str]) -> float:
    """Million characters a second of the rolling hash alone: what no signature can be faster than."""
    codes, ends = code_points(texts)
    hashes = np.zeros(len(codes), np.uint64)
    hashes[:] = 1  # pages that are there
    begin = time.perf_counter()
    rolling(codes, 13, hashes[: len(codes) - 12])
    return int(ends[-1]) / (time.perf_counter() - begin) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=Path, help="a folder of JSON Lines")
    parser.add_argument("--peers", type=Path, help="an environment that holds datasketch and rensa")
    parser.add_argument("--turn", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.turn:
        with tempfile.TemporaryDirectory(dir=args.turn.parent) as folder:
            print(json.dumps(ours(Path(folder), args.turn)))
        return
    with tempfile.TemporaryDirectory() as folder:
        texts = [one.text for one in corpus(args.texts)]
        parquet = Path(folder) / "texts.parquet"
        pq.write_table(pa.table({"text": texts}), parquet, row_group_size=1024)
        names = [OURS, *(PEERS if args.peers else ())]
        turns = [{name: turn(name, parquet, args.peers) for name in names} for _ in range(TURNS)]
        report(names, turns, texts)


def report(names: list[str], turns: list[dict[str, Any]], texts: list[str]) -> None:
    megabytes = sum(map(len, texts)) / 1e6
    print(f"{len(texts)} documents, {megabytes:.1f} million characters;", end=" ")
    print(f"the rolling hash alone takes {bare_hash(texts):.0f} million characters/s")
    print()
    print("| | documents/s | million characters/s | ours is faster by | extra MiB | kept |")
    print("|---|---|---|---|---|---|")
    for name in names:
        best = min((one[name] for one in turns), key=lambda found: found["seconds"])
        ratios = sorted(one[name]["seconds"] / one[OURS]["seconds"] for one in turns)
        print(
            f"| {name} | {len(texts) / best['seconds']:.0f} | {megabytes / best['seconds']:.1f} "
            f"| {ratios[len(ratios) // 2]:.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f}) "
            f"| {best['bytes'] / 2**20:.0f} | {best['kept']} |"
        )


if __name__ == "__main__":
    main()
