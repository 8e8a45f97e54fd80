"""Recall of bands on graded pairs: the similarity of each pair is what its bin says, and bands follow the curve."""

import random
from pathlib import Path

import pytest

from engine.artifacts.read import Inputs
from engine.data.dedup.recall import graded_pairs, probability
from engine.data.dedup.shingles import jaccard, shingle_hashes
from engine.data.dedup.spec import BandingRecall
from engine.data.run import run_banding_recall
from engine.spec.errors import ArtifactError
from engine.spec.ref import Ref
from tests.data.built import build, document, documents
from tests.data.given import place

STAGE = BandingRecall(
    kind="banding_recall", documents=Ref("corpus@documents"), edges=(0.7, 0.8, 0.9, 1.0), pairs=200, seed=1
)
WORDS = random.Random(1)
TEXTS = ["".join(WORDS.choice("abcdefghij klmnop") for _ in range(1500)) for _ in range(20)]


def test_pairs_are_as_similar_as_their_bin() -> None:
    pairs = graded_pairs(TEXTS, STAGE.replace(pairs=20), 0.8, 0.85)
    plain = STAGE.shingle.replace(text="plain")
    for pair in pairs:
        assert 0.8 <= pair.similarity <= 0.85
        assert pair.similarity == jaccard(shingle_hashes(pair.left, plain), shingle_hashes(pair.right, plain))


def test_the_curve() -> None:
    assert [round(probability(s, STAGE), 3) for s in (0.6, 0.7, 0.75, 0.8, 0.85, 0.9)] == [
        0.012,
        0.084,
        0.195,
        0.399,
        0.686,
        0.929,
    ]


def test_bands_follow_the_curve(tmp_path: Path) -> None:
    corpus = [document("made", number, text) for number, text in enumerate(TEXTS)]
    inputs = Inputs({STAGE.documents: (documents(tmp_path, corpus),)})
    built = build(tmp_path, "recall", lambda out: run_banding_recall(STAGE, inputs, out, place(tmp_path)))
    bins = built.metrics["bins"]
    assert [row["pairs"] for row in bins] == [200, 200, 200]
    for row in bins:
        deviation = (row["curve"] * (1 - row["curve"]) / row["pairs"]) ** 0.5
        assert abs(row["off"]) <= 3.5 * deviation + 0.005
    assert built.metrics["largest_off"] == max(abs(row["off"]) for row in bins)


def test_a_corpus_without_texts_long_enough_is_an_error(tmp_path: Path) -> None:
    inputs = Inputs({STAGE.documents: (documents(tmp_path, [document("made", 1, "short")]),)})
    with pytest.raises(ArtifactError, match="pairs want two"):
        build(tmp_path, "recall", lambda out: run_banding_recall(STAGE, inputs, out, place(tmp_path)))
