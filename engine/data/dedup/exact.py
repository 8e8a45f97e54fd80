"""Exact duplicates: documents with one sha256 of their text form a cluster, and one of them stays."""

from pathlib import Path

from engine.artifacts.read import Input
from engine.data.dedup.clusters import Clustering, twins
from engine.data.dedup.entries import spill_entries
from engine.data.dedup.keep import rank
from engine.data.dedup.spec import Keep


def exact_clusters(documents: Input, local: bool, keep: Keep, folder: Path) -> Clustering:
    """The clusters, of all documents or of each domain; `folder` is scratch space, and memory is one bucket of it."""
    entries = spill_entries(documents, keep, folder, digests=True)
    ranking = rank(entries, keep.then, folder)
    first, spilled = twins(entries, ranking, local, folder)
    spilled += entries.buckets.bytes + ranking.bytes
    return Clustering(entries, ranking, first, first, None, None, {}, spilled)
