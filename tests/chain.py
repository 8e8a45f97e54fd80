"""A small chain of artifacts made by hand, two raw files to a checkpoint, for tests of audit and lineage."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from engine.artifacts.draft import Draft
from engine.artifacts.manifest import InputRecord, Manifest, content_digest, recipe_digest
from engine.artifacts.observation import Stopwatch, observe
from engine.artifacts.store import Store
from engine.artifacts.toolchain import toolchain
from engine.spec.canonical import digest

CODE = digest("the code of a test")
Wanted = Mapping[str, tuple[tuple[str, str], ...]]  # reference: (run, output) pairs


@dataclass(frozen=True)
class Chain:
    """toy/corpus -> toy/clean -> toy/rows -> toy/model, and toy/corpus -> toy/rows besides."""

    store: Store
    sources: Path
    shas: tuple[str, ...]


def make_chain(root: Path) -> Chain:
    """Builds all four artifacts below `root`."""
    store, sources = Store(root / "artifacts"), root / "sources"
    sources.mkdir(parents=True)
    shas = tuple(put_source(sources, text) for text in (b"a raw file\n" * 9, b"another one\n" * 7))
    corpus = {"kind": "ingest", "sources": [source(n, sha) for n, sha in enumerate(shas)]}
    make_run(store, "toy/corpus", corpus, {}, documents("documents", 5))
    wanted: Wanted = {"corpus@documents": (("toy/corpus", "documents"),)}
    make_run(store, "toy/clean", {"kind": "clean", "documents": "corpus@documents"}, wanted, documents("documents", 4))
    wanted = {"clean@documents": (("toy/clean", "documents"),), **wanted}
    make_run(store, "toy/rows", {"kind": "pack", "documents": "clean@documents"}, wanted, rows)
    wanted = {"rows@rows": (("toy/rows", "rows"),)}
    make_run(store, "toy/model", {"kind": "train", "rows": "rows@rows"}, wanted, checkpoint, {"loss": 2.5})
    return Chain(store, sources, shas)


def put_source(sources: Path, data: bytes) -> str:
    """Puts a raw file under its sha256."""
    sha256 = hashlib.sha256(data).hexdigest()
    (sources / sha256).write_bytes(data)
    return sha256


def source(number: int, sha256: str) -> dict[str, Any]:
    """A source as a lowered ingest stage lists it."""
    return {
        "kind": "https",
        "name": f"raw-{number}",
        "url": f"https://example.org/raw-{number}.txt",
        "sha256": sha256,
        "licence": ("MIT", "CC-BY-4.0")[number],
    }


def make_run(
    store: Store,
    run: str,
    stage: Mapping[str, Any],
    wanted: Wanted,
    write: Callable[[Draft], None],
    metrics: Mapping[str, Any] | None = None,
) -> Manifest:
    """One artifact, whose inputs are in the store already."""
    inputs = {ref: tuple(record(store, *pair) for pair in pairs) for ref, pairs in wanted.items()}
    recipes = {ref: tuple(item.recipe for item in records) for ref, records in inputs.items()}
    recipe = recipe_digest(dict(stage), recipes, CODE)
    with store.begin(run, recipe, keep=False) as draft:
        write(draft)
        outputs = draft.outputs()
        manifest = Manifest(
            format=1,
            run=run,
            recipe=recipe,
            code=CODE,
            content=content_digest(outputs, metrics or {}),
            stage=dict(stage),
            inputs=inputs,
            outputs=outputs,
            metrics=dict(metrics or {}),
        )
        store.commit(draft, manifest)
    watch, chain = Stopwatch.start(), toolchain("data", None)
    observe(store.observation(run), run, manifest, chain, watch, store.artifacts, ("facsimile", "run"), {})
    return manifest


def record(store: Store, run: str, output: str) -> InputRecord:
    """What a run notes of an input."""
    manifest = store.manifest(run)
    assert manifest is not None
    return InputRecord(
        run=run, output=output, recipe=manifest.recipe, digest=manifest.outputs[output].digest, content=manifest.content
    )


def documents(output: str, count: int) -> Callable[[Draft], None]:
    """A table of texts."""

    def write(draft: Draft) -> None:
        schema = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("text", pa.string(), nullable=False)])
        with draft.table(output, schema) as table:
            ids = [f"{n:032x}" for n in range(count)]
            table.write(pa.record_batch([pa.array(ids), pa.array([f"text {n} " * 20 for n in ids])], schema=schema))
        draft.close(output)

    return write


def rows(draft: Draft) -> None:
    """Rows of token ids and their order."""
    with draft.array("rows", "ids", np.dtype(np.uint16), (8,)) as ids:
        ids.write(np.arange(48, dtype=np.uint16).reshape(6, 8))
    with draft.array("rows", "order", np.dtype(np.int64), ()) as order:
        order.write(np.arange(6, dtype=np.int64))
    draft.close("rows")


def checkpoint(draft: Draft) -> None:
    """A checkpoint and a log."""
    draft.tensors("step-2", "model", {"head": np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)})
    draft.json("step-2", "state.json", {"step": 2})
    draft.close("step-2")
    with draft.file("log", "steps.jsonl") as log:
        log.write(b'{"step": 1}\n{"step": 2}\n')
    draft.close("log")


def flip(path: Path, byte: int, bit: int) -> None:
    """Turns one bit of a file; `byte` counts from the end when it is negative."""
    data = bytearray(path.read_bytes())
    data[byte] ^= 1 << bit
    path.write_bytes(bytes(data))
