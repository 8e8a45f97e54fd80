"""Languages: py3langid's verdict in arithmetic that no machine can bend."""

import pytest
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from engine.data.clean import clean
from engine.data.cleaning.language import _model
from engine.data.cleaning.spec import Language
from engine.data.documents import Document
from engine.spec.errors import SpecError
from tests.data.built import document

ENGLISH = "This is a sentence in plain English, and here is another one that nobody could mistake for anything else."
GERMAN = "Das ist ein deutscher Satz, und hier ist noch einer, den niemand mit etwas anderem verwechseln k\u00f6nnte."
FRENCH = "Ceci est une phrase en fran\u00e7ais, et en voici une autre que personne ne pourrait confondre."


def test_other_languages_and_doubtful_texts_go() -> None:
    drops: list[tuple[str, float | None]] = []

    def drop(_: Document, reason: str, stands_for: str = "", measured: float | None = None) -> None:
        drops.append((reason + stands_for, measured))

    given = [ENGLISH, GERMAN, FRENCH, "THE QUICK BROWN FOX", ""]
    rule = Language(kind="language", keep=("en", "de"))
    kept = list(clean((rule,), (document("web", n, text) for n, text in enumerate(given)), drop))
    assert [d.text for d in kept] == [ENGLISH, GERMAN]
    assert [reason for reason, _ in drops] == ["language.fr", "language.unsure", "language.und"]
    assert drops[1][1] == pytest.approx(0.337, abs=1e-3) and drops[2][1] == 0.0


def test_an_unknown_language_is_the_authors_error() -> None:
    with pytest.raises(SpecError, match="knows no xx; keep some of ace, af, "):
        list(clean((Language(kind="language", keep=("xx",)),), iter([]), lambda *_: None))


def test_the_verdict_is_the_librarys() -> None:
    library = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    texts = [ENGLISH, GERMAN, FRENCH, "12 345", "\u6211\u4eec\u5728\u5317\u4eac", ENGLISH * 50, "def f(x): return x"]
    for text in texts:
        language, share = _model().tell(text)
        name, probability = library.classify(text)
        assert language == name
        assert share == pytest.approx(probability, abs=1e-4)
