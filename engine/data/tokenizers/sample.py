"""A fair share of the training characters for each domain, taken from the front of its documents."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from engine.data.documents import Document


def fair_shares(chars: Mapping[str, int], total_chars: int) -> dict[str, int]:
    """At most `total_chars` in equal shares; what a small domain leaves goes to the larger ones, evenly."""
    shares: dict[str, int] = {}
    left = total_chars
    by_size = sorted(chars, key=lambda domain: (chars[domain], domain))
    for done, domain in enumerate(by_size):
        shares[domain] = min(chars[domain], left // (len(by_size) - done))
        left -= shares[domain]
    return shares


def characters(documents: Iterable[Document]) -> Counter[str]:
    """Characters by domain."""
    counts: Counter[str] = Counter()
    for document in documents:
        counts[document.domain] += len(document.text)
    return counts


def sample(documents: Iterable[Document], shares: Mapping[str, int]) -> Iterator[str]:
    """Texts in the order of the documents, the last of each domain cut where its share ends."""
    left = dict(shares)
    for document in documents:
        text = document.text[: left[document.domain]]
        left[document.domain] -= len(text)
        if text:
            yield text
