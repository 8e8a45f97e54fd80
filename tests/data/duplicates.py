"""What tests of duplicates need: an index of bands made by hand, dedup stages, and the definition of their result."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pyarrow as pa

from engine.artifacts.placement import Placement
from engine.artifacts.read import Input, Inputs, read_table
from engine.data.dedup.bands import BANDS_SCHEMA
from engine.data.dedup.shingles import jaccard, shingle_hashes
from engine.data.dedup.spec import (
    Dedup,
    DedupMethod,
    ExactDuplicates,
    JaccardAtLeast,
    Keep,
    MinHash,
    NearDuplicates,
    Shingle,
    Unverified,
    Verify,
)
from engine.data.documents import Document, read_documents
from engine.data.run import run_dedup
from engine.spec.canonical import plain
from engine.spec.ref import Ref
from tests.data.built import Built, build, placement

Scope = Literal["global", "local"]
BandsOf = Callable[[Document], Sequence[object]]
CORPUS, BANDS = Ref("corpus@documents"), Ref("index@bands")
EXACT = ExactDuplicates(kind="exact")
UNVERIFIED, FIRST = Unverified(), Keep()
TRIPLES = Shingle(width=3, text="plain")


def near(verify: Verify = UNVERIFIED) -> NearDuplicates:
    return NearDuplicates(kind="near", bands=BANDS, verify=verify)


def at_least(least: float) -> NearDuplicates:
    return near(JaccardAtLeast(kind="jaccard", least=least))


def dedup(method: DedupMethod = EXACT, scope: Scope = "global", keep: Keep = FIRST) -> Dedup:
    return Dedup(kind="dedup", documents=CORPUS, scope=scope, method=method, keep=keep)


def index(folder: Path, items: Iterable[Document], bands: int, bands_of: BandsOf, shingle: Shingle = TRIPLES) -> Input:
    """Bands that are what `bands_of` says of each document: equal where it is equal."""
    folder.mkdir(exist_ok=True)
    made = build(folder, "index", lambda out: _write(out, items, bands_of)).outputs["bands"]
    return declared(made, bands, shingle)


def declared(made: Input, bands: int, shingle: Shingle = TRIPLES) -> Input:
    """Bands as the stage declares them in its manifest."""
    stage = MinHash(kind="minhash", documents=CORPUS, shingle=shingle, permutations=bands, bands=bands, rows=1, seed=1)
    return replace(made, manifest=made.manifest.replace(stage=plain(stage)))


def _write(out: Any, items: Iterable[Document], bands_of: BandsOf) -> dict[str, Any]:
    rows = [
        {
            "id": item.id,
            "domain": item.domain,
            "source": item.source,
            "text": sha256(item.text.encode()).digest(),
            "bands": b"".join(sha256(repr(band).encode()).digest()[:16] for band in enumerate(bands_of(item))),
        }
        for item in items
    ]
    with out.table("bands", BANDS_SCHEMA) as table:
        table.write(pa.Table.from_pylist(rows, BANDS_SCHEMA))
    out.close("bands")
    return {}


def unique(
    folder: Path,
    corpus: Input,
    stage: Dedup,
    bands: Input | None = None,
    place: Placement | None = None,
    run: str = "unique",
) -> Built:
    """Documents without duplicates."""
    found = {str(CORPUS): (corpus,)} | ({} if bands is None else {str(BANDS): (bands,)})
    return build(folder, run, lambda out: run_dedup(stage, Inputs(found), out, place or placement(folder)))


def kept(built: Built) -> list[str]:
    return [item.id for item in read_documents(built.outputs["documents"])]


class Gone(NamedTuple):
    reason: str
    stands_for: str
    measured: float


def gone(built: Built) -> dict[str, Gone]:
    rows = [row for batch in read_table(built.outputs["dropped"].folder) for row in batch.to_pylist()]
    return {row["id"]: Gone(row["reason"], row["stands_for"], row["measured"]) for row in rows}


def defined(items: Sequence[Document], stage: Dedup, bands_of: BandsOf = lambda _: ()) -> dict[str, Gone]:
    """What must go, by the definition: all pairs in memory."""
    order = sorted(items, key=lambda item: _key(item, stage.keep))
    places = {item.id: place for place, item in enumerate(order)}
    texts, buckets = _groups(order, stage, bands_of)
    least = stage.method.verify.least if _verified(stage.method) else 0.0
    edges = [(group[0], other) for group in texts for other in group[1:]]
    for group in buckets:
        edges += _led(group, least)
    roots = {item.id: item for item in order}
    for _ in items:
        for left, right in edges:
            best = min(roots[left.id], roots[right.id], key=lambda item: places[item.id])
            roots[left.id] = roots[right.id] = best
    return {item.id: _gone(item, roots[item.id]) for item in items if roots[item.id] is not item}


def _verified(method: DedupMethod) -> bool:
    return isinstance(method, NearDuplicates) and isinstance(method.verify, JaccardAtLeast)


def _key(item: Document, keep: Keep) -> tuple[Any, ...]:
    name = item.domain if keep.by == "domain" else item.source
    rank = keep.priority.index(name) if name in keep.priority else len(keep.priority)
    digest = sha256(item.text.encode()).hexdigest() if keep.then == "text_digest" else ""
    return rank, digest, item.id


def _groups(
    order: Sequence[Document], stage: Dedup, bands_of: BandsOf
) -> tuple[list[list[Document]], list[list[Document]]]:
    """Documents of one text, and the first documents of their text with one band; in the order of the keep rule."""
    texts: Mapping[Any, list[Document]] = defaultdict(list)
    for item in order:
        texts[item.domain if stage.scope == "local" else "", item.text].append(item)
    buckets: Mapping[Any, list[Document]] = defaultdict(list)
    for (scope, _), (first, *_others) in texts.items() if isinstance(stage.method, NearDuplicates) else ():
        for band in enumerate(bands_of(first)):
            buckets[scope, band].append(first)
    return list(texts.values()), list(buckets.values())


def _led(group: list[Document], least: float) -> list[tuple[Document, Document]]:
    """The first with those that are like it; then the same of the rest."""
    edges: list[tuple[Document, Document]] = []
    while group:
        first, *rest = group
        like = [other for other in rest if similarity(first, other) >= least]
        edges += [(first, other) for other in like]
        group = [other for other in rest if other not in like]
    return edges


def similarity(left: Document, right: Document, shingle: Shingle = TRIPLES) -> float:
    return jaccard(shingle_hashes(left.text, shingle), shingle_hashes(right.text, shingle))


def _gone(item: Document, by: Document) -> Gone:
    if item.text == by.text:
        return Gone("exact_duplicate", by.id, 1.0)
    return Gone("near_duplicate", by.id, similarity(item, by))
