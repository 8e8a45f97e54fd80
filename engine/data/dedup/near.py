"""Near duplicates: documents of one text or with a band in common are connected; the components are the clusters.

Of documents with one text only the first by the keep rule goes on (its bands are those of the others). Of those that
share a band the first is paired with each of the others, as SlimPajama pairs them with the first to arrive; with
`verify` a pair counts when its similarity is enough, and the ones that failed are paired again among themselves, until
every document of a band has been joined to one before it or has led the rest. Nothing of this depends on the order of
the documents. Memory is one bucket of spilled records, and one partition of texts for each worker.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import assert_never, final

from pydantic import JsonValue

from engine.artifacts.placement import Placement
from engine.artifacts.read import Input
from engine.data.dedup.buckets import Buckets, Numbers, Records, Words, buckets_for, leading
from engine.data.dedup.clusters import Clustering, Components, key_record, key_records, stars, twins
from engine.data.dedup.index import BAND_WORDS, Index
from engine.data.dedup.keep import Ranking, rank
from engine.data.dedup.similarity import Similarities
from engine.data.dedup.spec import JaccardAtLeast, Keep, NearDuplicates, Unverified


def near_clusters(
    documents: Input,
    bands: Input,
    method: NearDuplicates,
    local: bool,
    keep: Keep,
    folder: Path,
    placement: Placement,
) -> Clustering:
    """The clusters, of all documents or of each domain, and how similar each document is to the one that stays."""
    index = Index(documents, bands, keep, folder)
    entries, ranking = index.entries, rank(index.entries, keep.then, folder)
    first, text_bytes = twins(entries, ranking, local, folder)
    components = Components(folder / "parents", entries.rows)
    pairs = _BandPairs(index, ranking, first, local, folder)
    similar = Similarities(documents, index.minhash.shingle, ranking, folder, placement)
    match method.verify:
        case Unverified():
            metrics = _connect(components, pairs)
        case JaccardAtLeast(least=least):
            metrics = similar.connect(components, iter(pairs), least)
        case _:
            assert_never(method.verify)
    components.flatten(first)
    similarity = similar.to_roots(first, components.parent)
    on_disk = components.parent.nbytes + ranking.bytes + text_bytes + index.bytes + pairs.bytes + similar.bytes
    return Clustering(entries, ranking, first, components.parent, similarity, index.texts, metrics, on_disk)


def _connect(components: Components, pairs: "_BandPairs") -> dict[str, JsonValue]:
    """Joins all pairs."""
    count = 0
    for _, best, other in pairs:
        components.join(best, other)
        count += len(best)
    return {"pairs": count}


@final
class _BandPairs:
    """(band, first, other) of the documents that share a band, and that are the first of their text; band by band."""

    def __init__(self, index: Index, ranking: Ranking, first: Numbers, local: bool, folder: Path) -> None:
        record = key_record(BAND_WORDS + local)
        self._each = buckets_for(index.entries.rows, 2 * record.itemsize)
        self._bands = index.minhash.bands
        self._buckets = Buckets(folder, "keys", record, self._bands * self._each)
        for entries, bands in index.joined():
            numbers = ranking.number[entries["position"]]
            chosen = (first[numbers] == numbers) & bands["shingled"]
            self._spill(entries[chosen], bands["bands"][chosen], numbers[chosen], local)

    @property
    def bytes(self) -> int:
        return self._buckets.bytes

    def _spill(self, entries: Records, bands: Words, numbers: Numbers, local: bool) -> None:
        domain = [entries["domain"]] if local else []
        for band in range(self._bands):
            words = [bands[:, BAND_WORDS * band + word] for word in range(BAND_WORDS)]
            place = band * self._each + leading(words[0], self._each)
            self._buckets.add(place, key_records([*words, *domain], numbers))

    def __iter__(self) -> Iterator[tuple[int, Numbers, Numbers]]:
        for bucket in range(self._buckets.count):
            records = self._buckets.take(bucket)
            yield bucket // self._each, *stars(records["key"], records["number"])
