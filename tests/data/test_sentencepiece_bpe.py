"""A trained tokenizer gives every text back, says where each token ends, and is the same on every rebuild."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.artifacts.read import Input
from engine.data.tokenizer import Irreversible, Tokenizer, load_tokenizer
from engine.data.tokenizers.sentencepiece_bpe import STRETCH_CHARS, load, train
from engine.spec.errors import ArtifactError
from tests.data.built import bpe, document, documents, prose, trained

ROOT = Path(__file__).parents[2]
GOLDEN = "99c23107d72dcecca473bc2b91cc19b47571df75d87a355f179745ae4ee76083"  # sentencepiece 0.2.3


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Input:
    return documents(tmp_path_factory.mktemp("corpus"), [*prose("code", 30), *prose("wiki", 20)])


@pytest.fixture(scope="module")
def tokenizer(corpus: Input, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return load_tokenizer(trained(tmp_path_factory.mktemp("model"), corpus, bpe()).outputs["model"].folder)


ODD = [
    "",
    " ",
    "  two  spaces  ",
    "\n",
    "\n\n\n    indented\n\t\ttabs \t mixed\r\nend\n",
    " leading and trailing \n",
    "\u4e2d\u6587\u6a21\u578b and \u65e5\u672c\u8a9e \ud55c\uad6d\uc5b4",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea",
    "\x00\x01\x1f\x7f\x85\u2028\ufeff\u00a0\u3000",
    "<s></s><unk><pad><0x41><0x0A>",
    "\u2585 \u2047 \ufffd \uffff \U0010ffff",
    "e\u0301 \u00e9 \ufb01 \uff21",
]


@pytest.mark.parametrize("text", ODD)
def test_odd_texts_survive(tokenizer: Tokenizer, text: str) -> None:
    ids, ends = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text.encode()
    assert not np.isin(ids, [0, 1, 2]).any()
    assert ends[-1:].tolist() == [len(text.encode())][: len(ends)]


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\u2581"), max_size=60))
def test_every_text_survives_and_every_token_knows_its_bytes(tokenizer: Tokenizer, text: str) -> None:
    ids, ends = tokenizer.encode(text)
    data, begin = text.encode(), 0
    assert (ids.dtype, ends.dtype) == (np.int32, np.int64)
    for token, end in zip(ids, ends.tolist(), strict=True):
        assert tokenizer.decode(np.array([token])) == data[begin:end]
        begin = end
    assert begin == len(data)


@pytest.mark.parametrize("text", ["a \u2581 b", "\u2581", "\ud800 alone"])
def test_what_does_not_survive_is_told(tokenizer: Tokenizer, text: str) -> None:
    with pytest.raises(Irreversible):
        tokenizer.encode(text)


def test_newlines_and_indents_are_learnt(tokenizer: Tokenizer) -> None:
    ids, _ = tokenizer.encode("\n    ")
    assert len(ids) <= 2


def test_golden_model_and_what_was_read(corpus: Input, tmp_path: Path) -> None:
    built = trained(tmp_path, corpus, bpe(train_chars=10_000), workers=2)
    assert built.digests() == {"model": GOLDEN}
    assert built.metrics == {"vocabulary": 400, "end_id": 2, "characters": {"code": 5000, "wiki": 5000}}


PROGRAM = """
import hashlib, sys
from tests.data.built import bpe, prose
from engine.data.tokenizers.sentencepiece_bpe import train
print(hashlib.sha256(train(bpe(), [d.text for d in prose("code", 30)])).hexdigest())
"""


def test_same_bytes_from_every_folder_and_process(tmp_path: Path) -> None:
    found = set()
    for number, hash_seed in enumerate(("0", "77")):
        folder = tmp_path / str(number)
        folder.mkdir()
        changed = {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed, "TMPDIR": str(folder)}
        env = {**os.environ, **changed}
        command = [sys.executable, "-c", PROGRAM]
        found.add(subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True).stdout)
        assert list(folder.iterdir()) == []
    assert len(found) == 1


def test_a_corpus_too_small_for_its_vocabulary_says_what_is_possible(corpus: Input, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"at most (\d+) is possible") as raised:
        trained(tmp_path / "a", corpus, bpe(vocabulary=20_000))
    largest = int(str(raised.value).split("at most ")[1].split(" ")[0])
    assert trained(tmp_path / "b", corpus, bpe(vocabulary=largest)).metrics["vocabulary"] == largest


def test_too_many_characters_for_the_vocabulary_says_what_is_needed() -> None:
    with pytest.raises(ArtifactError, match=r"at least 5[0-9]{2} is needed"):
        train(bpe(vocabulary=300), ["".join(map(chr, range(0x4E00, 0x4F00))) * 3])


@pytest.mark.parametrize("texts", [[], [""], ["\n"], ["\u2585"]])
def test_no_text_at_all_is_told(texts: list[str]) -> None:
    with pytest.raises(ArtifactError, match="no text"):
        train(bpe(), texts)


def test_no_text_is_skipped_for_its_length_or_a_reserved_character(tmp_path: Path) -> None:
    long = "".join(document.text for document in prose("code", 30))
    long *= 1 + STRETCH_CHARS // len(long)
    data = train(bpe(), ["\u2585" + long + "\u017e" * 5000 + "\u2585"])
    (tmp_path / "tokenizer.model").write_bytes(data)
    ids, _ = load(tmp_path / "tokenizer.model").encode("\u017e" * 16)
    assert len(ids) == 1


def test_an_unreadable_model_is_told(corpus: Input, tmp_path: Path) -> None:
    folder = trained(tmp_path, corpus, bpe()).outputs["model"].folder
    data = (folder / "tokenizer.model").read_bytes()
    (folder / "tokenizer.model").write_bytes(data[: len(data) // 2])
    with pytest.raises(ArtifactError, match=r"tokenizer\.model"):
        load_tokenizer(folder)
    (folder / "tokenizer.model").unlink()
    with pytest.raises(ArtifactError, match=r"tokenizer\.model"):
        load_tokenizer(folder)


def test_a_document_may_be_empty(tokenizer: Tokenizer) -> None:
    ids, ends = tokenizer.encode(document("code", 1, "").text)
    assert (ids.tolist(), ends.tolist()) == ([], [])
