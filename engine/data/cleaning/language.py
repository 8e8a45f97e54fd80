"""Documents in other languages out, by py3langid's model in arithmetic that is the same on every machine.

The library adds up float32 products in an order that depends on the machine. Here its weights are integers in units of
2^-18, so that sums are exact, and exponentials are correctly rounded decimals.
"""

import unicodedata
from collections.abc import Iterator
from decimal import Context, Decimal, localcontext
from functools import cache
from math import sqrt
from typing import final

import numpy as np
import numpy.typing as npt
from py3langid.langid import MODEL_FILE, LanguageIdentifier, visit_counts

from engine.data.cleaning.spec import Language
from engine.data.documents import Document, Drop
from engine.spec.errors import SpecError

UNIT = 1 << 18
FAINT = 30  # e^-30 is below what the digits below hold
DIGITS = 12


def keep_languages(documents: Iterator[Document], rule: Language, drop: Drop) -> Iterator[Document]:
    """Drops `language.<the language that was found>` or, where that is kept, `language.unsure`.

    SpecError for a language that the model does not know.
    """
    model = _model()
    unknown = sorted(set(rule.keep) - set(model.languages))
    if unknown:
        known = ", ".join(sorted(set(model.languages)))
        raise SpecError(f"steps: the language model knows no {', '.join(unknown)}; keep some of {known}")
    for document in documents:
        language, share = model.tell(document.text)
        if language not in rule.keep:
            drop(document, f"language.{language}", measured=share)
        elif share < rule.least:
            drop(document, "language.unsure", measured=share)
        else:
            yield document


@cache
def _model() -> "_Model":
    return _Model()  # a second to load, in each worker


@final
class _Model:
    """py3langid's naive Bayes model over byte n-grams."""

    def __init__(self) -> None:
        found = LanguageIdentifier.from_model_file(MODEL_FILE)
        self.languages: list[str] = list(found.nb_classes)
        self._automaton = (found.tk_nextmove, [row << 8 for row in found.tk_row], found.tk_output)
        self._weights = _in_units(found.nb_ptc)
        self._prior = _in_units(found.nb_pc)
        self._seen: dict[int, int] = {}

    def tell(self, text: str) -> tuple[str, float]:
        """The likeliest language and its share of the probability, to six decimals, as py3langid normalises it."""
        data = unicodedata.normalize("NFC", text.lower() if text.isupper() else text).encode("utf-8")
        counts = visit_counts(*self._automaton, data)
        if not counts:
            return "und", 0.0
        features = np.fromiter(sorted(counts), np.int64, len(counts))
        seen = np.array([self._log1p(counts[feature]) for feature in features.tolist()], np.int64)
        scores = seen @ self._weights[features] + self._prior * UNIT
        return self._share(scores, sqrt(len(data)))

    def _share(self, scores: npt.NDArray[np.int64], temperature: float) -> tuple[str, float]:
        below = ((scores.max() - scores) / (float(UNIT) * UNIT * temperature)).tolist()
        shares: dict[str, Decimal] = {}
        with localcontext(Context(prec=DIGITS)):
            for language, distance in zip(self.languages, below, strict=True):
                share = (-Decimal(distance)).exp() if distance < FAINT else Decimal(0)
                shares[language] = shares.get(language, Decimal(0)) + share
            best = min(shares, key=lambda language: (-shares[language], language))
            return best, float(round(shares[best] / sum(shares.values()), 6))

    def _log1p(self, count: int) -> int:
        """log(1 + count) in units; the model weighs a feature by it."""
        if count not in self._seen:
            self._seen[count] = int((Decimal(count + 1).ln() * UNIT).to_integral_value())
        return self._seen[count]


def _in_units(values: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    return np.rint(np.asarray(values, np.float64) * UNIT).astype(np.int64)
