"""transformers reads an exported tokenizer: the ids that the model was trained on, and every text back."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from engine.data.tokenizer import INFO, Tokenizer, TokenizerInfo, load_tokenizer
from engine.data.tokenizers import sentencepiece_bpe
from engine.data.tokenizers.export import CONFIG, FILE, converted, export_tokenizer, last_merge
from engine.spec.canonical import pretty
from engine.spec.errors import ArtifactError
from tests.data.built import bpe, prose
from tests.data.test_huggingface import byte_level, llama_like
from tests.data.test_sentencepiece_bpe import ODD

ROOT = Path(__file__).parents[2]
CODE = [path.read_text("utf-8") for path in sorted((ROOT / "engine" / "data").rglob("*.py"))]
TOY = [path.read_text("utf-8") for path in sorted((ROOT / "tests" / "toy" / "texts").iterdir())]
FORGED = ["</s>", "a</s>b <s> <unk>", "<0x0A>\n<0x41>", "#version 3", "a" * 50, " " * 50 + "\n" * 9, "\t\t x\t"]
Pair = tuple[Tokenizer, PreTrainedTokenizerBase]


def both(folder: Path, kind: str, file: str, data: bytes, end_id: int, vocabulary: int) -> Pair:
    """Our tokenizer and the one that transformers reads from the exported folder of a model."""
    model, exported = folder / "model", folder / "exported"
    model.mkdir()
    exported.mkdir()
    (model / file).write_bytes(data)
    info = {"kind": kind, "file": file, "vocabulary": vocabulary, "end_id": end_id}
    (model / INFO).write_text(pretty(TokenizerInfo.model_validate(info)), encoding="utf-8")
    (exported / "config.json").write_text('{"model_type": "llama"}')
    export_tokenizer(model, exported)
    return load_tokenizer(model), AutoTokenizer.from_pretrained(exported)


def trained(folder: Path, texts: Iterable[str], vocabulary: int) -> Pair:
    data = sentencepiece_bpe.train(bpe(vocabulary=vocabulary), texts)
    return both(folder, "sentencepiece_bpe", "tokenizer.model", data, 2, vocabulary)


def published(folder: Path, content: dict[str, Any], end_id: int) -> Pair:
    data = json.dumps(content).encode()
    size = tokenizers.Tokenizer.from_buffer(data).get_vocab_size()
    return both(folder, "huggingface", "tokenizer.json", data, end_id, size)


def assert_equal(pair: Pair, text: str) -> None:
    ours, theirs = pair
    ids = ours.encode(text)[0].tolist()
    assert theirs(text)["input_ids"] == ids
    assert theirs.decode(ids) == text


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    texts = [document.text for document in prose("code", 20)] + CODE
    return trained(tmp_path_factory.mktemp("trained"), texts, 1000)


@pytest.fixture(scope="module")
def two_letters(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Pieces of few letters overlap in many ways: where one may be merged from several pairs, order tells."""
    texts = [f"{n:b}".replace("0", "a").replace("1", "b") + " " * (n % 3) for n in range(1, 3000, 7)]
    return trained(tmp_path_factory.mktemp("letters"), texts, 400)


@pytest.mark.parametrize("text", [*ODD, *FORGED])
def test_odd_texts_get_equal_ids(pair: Pair, text: str) -> None:
    assert_equal(pair, text)


def test_whole_files_get_equal_ids(pair: Pair) -> None:
    for text in [*CODE, *TOY, "".join(CODE)]:
        assert_equal(pair, text)


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\u2581"), max_size=60))
def test_every_text_gets_equal_ids(pair: Pair, text: str) -> None:
    assert_equal(pair, text)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(3, 999), max_size=30))
def test_pieces_in_any_order_get_equal_ids(pair: Pair, ids: list[int]) -> None:
    text = pair[0].decode(np.array(ids, dtype=np.int32)).decode(errors="ignore")
    assert_equal(pair, text.replace("\u2581", ""))


@settings(max_examples=500, deadline=None)
@given(st.text("ab ", max_size=80))
def test_overlapping_pieces_get_equal_ids(two_letters: Pair, text: str) -> None:
    assert_equal(two_letters, text)


def test_the_last_merge_is_that_of_the_piece_alone() -> None:
    rank = {"ba": 0, "ab": 1, "aba": 2, "abab": 3}
    assert last_merge("aba", rank) == ("a", "ba")  # not ("ab", "a"): "ba" is merged before "ab"
    assert last_merge("abab", rank) == ("aba", "b")
    assert last_merge("aab", {"aa": 1, "ab": 0, "aab": 2}) == ("a", "ab")


def test_a_piece_that_no_text_has_is_merged_from_nothing() -> None:
    assert last_merge("abcd", {"bc": 0, "ab": 1, "cd": 2, "abcd": 3}) is None


def test_documents_end_with_a_token_that_no_text_forges(pair: Pair, tmp_path: Path) -> None:
    _, theirs = pair
    assert (theirs.eos_token, theirs.eos_token_id, theirs.bos_token) == ("</s>", 2, None)
    assert len(theirs) == 1000
    theirs.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert 2 not in again("a</s>")["input_ids"]
    assert again.decode([2], skip_special_tokens=True) == ""


def test_one_pair_a_piece(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(sentencepiece_bpe.train(bpe(vocabulary=1000), CODE))
    model = converted(tmp_path / "m")["model"]
    merged = [left + right for left, right in model["merges"]]
    assert len(set(merged)) == len(merged)
    assert sorted(merged, key=model["vocab"].get) == merged


@pytest.mark.parametrize("prefix", [False, True])
def test_a_published_byte_level_tokenizer_is_copied(tmp_path: Path, prefix: bool) -> None:
    content = byte_level()
    if prefix:  # as many published files do; rows are packed without it
        single = [{"SpecialToken": {"id": "</s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
        special = {"</s>": {"id": "</s>", "ids": [0], "tokens": ["</s>"]}}
        content["post_processor"] = {
            "type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": special,
        }  # fmt: skip
    pair = published(tmp_path, content, 0)
    same = (tmp_path / "exported" / FILE).read_bytes() == (tmp_path / "model" / FILE).read_bytes()
    assert same is not prefix
    assert json.loads((tmp_path / "exported" / CONFIG).read_text())["eos_token"] == "</s>"
    for text in [*ODD, *TOY, "a</s>b"]:
        assert_equal(pair, text)


def test_a_published_tokenizer_with_a_space_in_front_gives_equal_ids(tmp_path: Path) -> None:
    ours, theirs = published(tmp_path, llama_like(), 2)
    for text in ["abc", " abc def", "a</s>b", "\u4e2d"]:
        assert theirs(text)["input_ids"] == ours.encode(text)[0].tolist()


def test_a_damaged_model_is_not_exported(tmp_path: Path) -> None:
    (tmp_path / INFO).write_text('{"kind": "sentencepiece_bpe", "file": "m", "vocabulary": 9, "end_id": 2}')
    (tmp_path / "m").write_bytes(b"no model")
    with pytest.raises(ArtifactError, match="no sentencepiece model"):
        export_tokenizer(tmp_path, tmp_path)
    assert not (tmp_path / FILE).exists()
