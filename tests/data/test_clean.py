"""Clean: what the steps change and drop, with counted reasons."""

from pathlib import Path

import pytest

from engine.artifacts.read import Input, Inputs, read_table
from engine.data.cleaning.spec import LeastChars, NormalizeNfc
from engine.data.documents import read_documents
from engine.data.run import run_clean
from engine.data.spec import Clean
from engine.spec.errors import ArtifactError
from engine.spec.ref import Ref
from tests.data.built import Built, build, document, documents
from tests.data.given import place

NFC = NormalizeNfc(kind="nfc")


def cleaned(folder: Path, corpus: Input, *steps: NormalizeNfc | LeastChars) -> Built:
    stage = Clean(kind="clean", documents=Ref("corpus@documents"), steps=steps)
    inputs = Inputs({"corpus@documents": (corpus,)})
    return build(folder, "clean", lambda out: run_clean(stage, inputs, out, place(folder)))


def test_text_is_normal_and_every_drop_has_a_reason(tmp_path: Path) -> None:
    given = [
        document("wiki", 1, "e\u0301te\u0301 is long\r\nenough\rhere"),
        document("wiki", 2, "a \0 in a long text"),
        document("code", 3, "   short \n\n\n\n\n\n\n\n"),
    ]
    built = cleaned(tmp_path, documents(tmp_path, given), NFC, LeastChars(kind="least_chars", chars=10))
    kept = list(read_documents(built.outputs["documents"]))
    assert [d.text for d in kept] == ["\u00e9t\u00e9 is long\nenough\nhere"]
    assert kept[0].id == given[0].id
    assert built.metrics == {
        "documents": {"wiki": 1},
        "characters": {"wiki": 23},
        "dropped": {"least_chars": {"code": 1}, "nul": {"wiki": 1}},
    }
    (batch,) = read_table(built.outputs["dropped"].folder)
    assert batch.to_pylist() == [
        {"id": given[1].id, "source": "wiki-source", "domain": "wiki", "reason": "nul", "stands_for": ""},
        {"id": given[2].id, "source": "code-source", "domain": "code", "reason": "least_chars", "stands_for": ""},
    ]


def test_steps_run_in_the_order_of_the_spec(tmp_path: Path) -> None:
    corpus = documents(tmp_path, [document("wiki", 1, "e\u0301" * 6), document("wiki", 2, "long enough")])
    ten = LeastChars(kind="least_chars", chars=10)
    assert cleaned(tmp_path / "a", corpus, ten, NFC).metrics["documents"] == {"wiki": 2}
    assert cleaned(tmp_path / "b", corpus, NFC, ten).metrics["documents"] == {"wiki": 1}


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    corpus = documents(tmp_path, [document("wiki", 1, "short")])
    with pytest.raises(ArtifactError, match="no documents left: the steps dropped all of test/corpus"):
        cleaned(tmp_path, corpus, LeastChars(kind="least_chars", chars=10))
