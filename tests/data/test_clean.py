"""Clean: what the steps change and drop, with counted reasons."""

from pathlib import Path

import pytest

from engine.artifacts.read import Input, Inputs, read_table
from engine.data.cleaning.spec import CleanStep, Ftfy, LeastChars, NormalizeNfc, SlimPajamaShort
from engine.data.documents import read_documents
from engine.data.run import run_clean
from engine.data.spec import Clean
from engine.spec.errors import ArtifactError
from engine.spec.ref import Ref
from tests.data.built import Built, build, document, documents
from tests.data.given import place

NFC = NormalizeNfc(kind="nfc")
FTFY = Ftfy(kind="ftfy")


def cleaned(folder: Path, corpus: Input, *steps: CleanStep) -> Built:
    stage = Clean(kind="clean", documents=Ref("corpus@documents"), steps=steps)
    inputs = Inputs({"corpus@documents": (corpus,)})
    return build(folder, "clean", lambda out: run_clean(stage, inputs, out, place(folder)))


def texts(built: Built) -> list[str]:
    return [d.text for d in read_documents(built.outputs["documents"])]


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
        "dropped_of_sources": {"least_chars": {"code-source": 1}, "nul": {"wiki-source": 1}},
    }
    (nul, short) = (row for batch in read_table(built.outputs["dropped"].folder) for row in batch.to_pylist())
    assert nul == {
        "id": given[1].id,
        "source": "wiki-source",
        "domain": "wiki",
        "reason": "nul",
        "stands_for": "",
        "measured": None,
    }
    assert (short["id"], short["reason"], short["measured"]) == (given[2].id, "least_chars", 5.0)


def test_steps_run_in_the_order_of_the_spec(tmp_path: Path) -> None:
    corpus = documents(tmp_path, [document("wiki", 1, "e\u0301" * 6), document("wiki", 2, "long enough")])
    ten = LeastChars(kind="least_chars", chars=10)
    assert cleaned(tmp_path / "a", corpus, ten, NFC).metrics["documents"] == {"wiki": 2}
    assert cleaned(tmp_path / "b", corpus, NFC, ten).metrics["documents"] == {"wiki": 1}


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    corpus = documents(tmp_path, [document("wiki", 1, "short")])
    with pytest.raises(ArtifactError, match="no documents left: clean dropped all of test/corpus: 1 for least_chars"):
        cleaned(tmp_path, corpus, LeastChars(kind="least_chars", chars=10))


def test_ftfy_mends_wrong_decodings_and_nul_goes(tmp_path: Path) -> None:
    given = [
        document("wiki", 1, "\u00e2\u0153\u201d No problems &amp; e\u0301\u2028\u201cquoted\u201d\r\nnext"),
        document("wiki", 2, "plain ASCII\n"),
        document("wiki", 3, "a \0 in it"),
    ]
    built = cleaned(tmp_path, documents(tmp_path, given), FTFY)
    assert texts(built) == ['\u2714 No problems & \u00e9\n"quoted"\nnext', "plain ASCII\n"]
    assert built.metrics["dropped"] == {"nul": {"wiki": 1}}


def test_slimpajama_counts_cleaned_characters_and_changes_none(tmp_path: Path) -> None:
    exact = "A-b, C!  \n" * 40 + "x"  # each line is cleaned to "ab c " of 5
    given = [document("web", 1, exact), document("web", 2, exact[1:]), document("web", 3, "!" * 500)]
    built = cleaned(tmp_path, documents(tmp_path, given), SlimPajamaShort(kind="slimpajama_short", chars=201))
    assert texts(built) == [exact]
    (batch,) = read_table(built.outputs["dropped"].folder)
    assert batch.column("reason").to_pylist() == ["slimpajama_short"] * 2
    assert batch.column("measured").to_pylist() == [200.0, 0.0]


def test_two_hundred_characters_are_the_published_bound() -> None:
    assert SlimPajamaShort(kind="slimpajama_short").chars == 200
