"""How often pairs of known similarity share a band, beside the curve 1 - (1 - s^rows)^bands that says so.

A pair is the compared text of a real document and a copy in which runs of characters are exchanged for runs of other
documents until the exact Jaccard similarity of the shingle sets lies in the bin that was asked for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from pydantic import JsonValue

from engine.artifacts.progress import progress
from engine.artifacts.read import Input
from engine.data.dedup.bands import BAND_BYTES
from engine.data.dedup.minhash import band_keys, functions, signed
from engine.data.dedup.shingles import compared_text, jaccard, shingle_hashes
from engine.data.dedup.spec import BandingRecall, Shingle
from engine.data.documents import read_documents
from engine.spec.errors import ArtifactError
from engine.spec.philox import Stream, generator

LEAST_CHARS, MOST_CHARS = 1000, 8000  # of the texts that pairs are made of; of longer ones the beginning is taken
TEXTS = 1000  # at most so many are held
TRIES = 30
RUN = 40  # characters exchanged at one place, about


@final
@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts as they are compared, and the similarity of their shingles."""

    left: str
    right: str
    similarity: float


def banding_recall(stage: BandingRecall, documents: Input) -> dict[str, JsonValue]:
    """Of each bin: pairs, the share that has a band in common, the mean of the curve over them, their difference."""
    texts = _texts(documents, stage)
    bins: list[JsonValue] = []
    for low, high in progress(
        list(zip(stage.edges, stage.edges[1:], strict=False)), len(stage.edges) - 1, "bins", "recall"
    ):
        pairs = graded_pairs(texts, stage, low, high)
        found = share_a_band(pairs, stage)
        curve = float(np.mean([probability(pair.similarity, stage) for pair in pairs]))
        bins.append(
            {
                "from": low,
                "to": high,
                "pairs": len(pairs),
                "similarity": float(np.mean([pair.similarity for pair in pairs])),
                "found": found,
                "curve": curve,
                "off": found - curve,
            }
        )
    offs = [abs(row["off"]) for row in bins if isinstance(row, dict) and isinstance(row["off"], float)]
    return {"bins": bins, "largest_off": max(offs), "texts": len(texts)}


def probability(similarity: float, stage: BandingRecall) -> float:
    """Of sharing a band: 1 - (1 - s^rows)^bands (Leskovec et al., Mining of Massive Datasets, 3.4.2)."""
    return 1.0 - (1.0 - similarity**stage.rows) ** stage.bands


def share_a_band(pairs: Sequence[Pair], stage: BandingRecall) -> float:
    """The share of the pairs that have a band in common."""
    by, width = functions(stage), stage.shingle.width
    left, right = signed([p.left for p in pairs], width, by), signed([p.right for p in pairs], width, by)
    hits = [_in_common(band_keys(a, stage.bands), band_keys(b, stage.bands)) for a, b in zip(left, right, strict=True)]
    return sum(hits) / len(hits)


def graded_pairs(texts: Sequence[str], stage: BandingRecall, low: float, high: float) -> list[Pair]:
    """`stage.pairs` pairs whose similarity lies in [low, high]."""
    stream = generator(stage.seed, "data", "recall", f"{low:g}-{high:g}")
    plain = stage.shingle.replace(text="plain")  # the texts are cleaned already
    pairs: list[Pair] = []
    for number in range(stage.pairs):
        goal = low + (high - low) * float(stream.uniform(1)[0])
        pairs.append(_pair(texts, number, goal, (low, high), plain, stream))
    return pairs


def _pair(
    texts: Sequence[str], number: int, goal: float, within: tuple[float, float], shingle: Shingle, stream: Stream
) -> Pair:
    """One pair near the goal; the number of exchanged runs follows what the tries before it came to."""
    for attempt in range(TRIES):
        text, donor = texts[(number + attempt) % len(texts)], texts[(number + 7 * attempt + 1) % len(texts)]
        ours = shingle_hashes(text, shingle)
        changed = round(len(text) * (1.0 - goal) / (1.0 + goal))  # of J = (n - c) / (n + c)
        for share in (1.0, 0.95, 1.05, 0.9, 1.1, 0.8, 1.2):
            copy = _exchanged(text, donor, round(changed * share), shingle.width, stream)
            similarity = jaccard(ours, shingle_hashes(copy, shingle))
            if within[0] <= similarity <= within[1]:
                return Pair(text, copy, similarity)
    raise ArtifactError(
        f"no pair of similarity {within[0]:g} to {within[1]:g} could be made of {len(texts)} texts; "
        "widen the bins or give longer documents"
    )


def _exchanged(text: str, donor: str, changed: int, width: int, stream: Stream) -> str:
    """The text with runs of the donor in it, so that about `changed` of its shingles are others."""
    spread = RUN + width - 1  # shingles that one run changes
    runs = [RUN] * (changed // spread)
    if rest := changed % spread:
        runs.append(max(rest - width + 1, 1))
    places = np.sort((stream.uniform(len(runs)) * max(len(text) - RUN, 1)).astype(np.int64)).tolist()
    pieces, begin = [], 0
    for place, length in zip(places, runs, strict=True):
        place = max(place, begin)
        pieces += [text[begin:place], donor[place % max(len(donor) - length, 1) :][:length]]
        begin = place + length
    return "".join(pieces) + text[begin:]


def _in_common(left: bytes, right: bytes) -> bool:
    return any(left[at : at + BAND_BYTES] == right[at : at + BAND_BYTES] for at in range(0, len(left), BAND_BYTES))


def _texts(documents: Input, stage: BandingRecall) -> list[str]:
    found = list(_long_enough(documents, stage))
    if len(found) < 2:
        raise ArtifactError(
            f"{documents.run} has {len(found)} documents of {LEAST_CHARS} characters after cleaning; pairs want two"
        )
    return found


def _long_enough(documents: Input, stage: BandingRecall) -> Iterator[str]:
    count = 0
    for document in read_documents(documents):
        text = compared_text(document.text[: 2 * MOST_CHARS], stage.shingle)[:MOST_CHARS]
        if len(text) >= LEAST_CHARS:
            count += 1
            yield text
        if count == TEXTS:
            return
