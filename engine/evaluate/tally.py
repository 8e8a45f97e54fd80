"""What a text costs a model, added up by domain, and the perplexities that follow from it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from pydantic import JsonValue

ALL = "all"


@final
@dataclass(slots=True)
class Tally:
    """Sums over documents; `nll` in nats, `words` split at white space, `bytes` in UTF-8."""

    documents: int = 0
    skipped: int = 0  # documents that the tokenizer cannot give back
    tokens: int = 0
    words: int = 0
    bytes: int = 0
    nll: float = 0.0

    def add(self, text: str, tokens: int, nll: float) -> None:
        self.documents += 1
        self.tokens += tokens
        self.words += len(text.split())
        self.bytes += len(text.encode("utf-8"))
        self.nll += nll

    def scores(self) -> dict[str, JsonValue]:
        """The sums and the perplexities; null where there is nothing to divide by or the value leaves fp64."""
        return {
            "documents": self.documents,
            "skipped": self.skipped,
            "tokens": self.tokens,
            "words": self.words,
            "bytes": self.bytes,
            "nll": self.nll,
            "token_perplexity": perplexity(self.nll, self.tokens),
            "word_perplexity": perplexity(self.nll, self.words),
            "bits_per_byte": self.nll / math.log(2) / self.bytes if self.bytes else None,
        }


def perplexity(nll: float, units: int) -> float | None:
    """exp(nll / units); None where there are no units, or the value leaves fp64."""
    if not units:
        return None
    try:
        return math.exp(nll / units)
    except OverflowError:
        return None


class Tallies:
    """A tally for all documents and one for each domain; sums run in the order of the documents."""

    def __init__(self) -> None:
        self._all = Tally()
        self._domains: dict[str, Tally] = {}

    def add(self, domain: str, text: str, tokens: int, nll: float) -> None:
        self._all.add(text, tokens, nll)
        self._of(domain).add(text, tokens, nll)

    def skip(self, domain: str) -> None:
        self._all.skipped += 1
        self._of(domain).skipped += 1

    def scores(self) -> dict[str, JsonValue]:
        domains: Mapping[str, Tally] = dict(sorted(self._domains.items()))
        return {ALL: self._all.scores(), "domains": {name: tally.scores() for name, tally in domains.items()}}

    def _of(self, domain: str) -> Tally:
        return self._domains.setdefault(domain, Tally())
