"""Published tokenizers: checked against the spec, reversible by bytes, and no text can forge a separator."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.artifacts.placement import Placement
from engine.artifacts.read import Inputs
from engine.data.run import run_tokenizer
from engine.data.spec import HuggingFaceTokenizer
from engine.data.spec import Tokenizer as TokenizerStage
from engine.data.tokenizer import Irreversible, Tokenizer, load_tokenizer
from engine.data.tokenizers import huggingface
from engine.spec.errors import ArtifactError
from tests.data.built import Built, build, prose

NEOX = "9ad33b4b39a9f83973c3f8c42a01948dd5b877a28ac9a5356956c4ff4ed0b714"  # of GPT-NeoX-20B, as dolma extends it
TEXTS = [document.text for document in prose("code", 8)]


def byte_level(add_prefix_space: bool = False) -> dict[str, Any]:
    """A tiny tokenizer.json as GPT-2's."""
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    model.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=320, special_tokens=["</s>"], initial_alphabet=alphabet, show_progress=False
    )
    model.train_from_iterator(TEXTS, trainer)
    return json.loads(model.to_str())


def llama_like() -> dict[str, Any]:
    """A tiny tokenizer.json as Llama's: a space in front, bytes as the last resort."""
    found = byte_level()
    every_byte = [f"<0x{byte:02X}>" for byte in range(256)]
    tokens = ["<unk>", "<s>", "</s>", *every_byte, "\u2581", *"abcdefgh", "\u2581a", "bc"]
    found["model"]["vocab"] = {token: number for number, token in enumerate(tokens)}
    found["model"]["merges"] = [["\u2581", "a"], ["b", "c"]]
    found["model"] |= {"byte_fallback": True, "fuse_unk": True, "unk_token": "<unk>"}
    found["added_tokens"] = [dict(found["added_tokens"][0], id=number, content=tokens[number]) for number in range(3)]
    prepend, space = {"type": "Prepend", "prepend": "\u2581"}, {"String": " "}
    found["normalizer"] = {
        "type": "Sequence",
        "normalizers": [prepend, {"type": "Replace", "pattern": space, "content": "\u2581"}],
    }
    back = {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}
    found["pre_tokenizer"] = None
    found["decoder"] = {"type": "Sequence", "decoders": [back, {"type": "ByteFallback"}, {"type": "Fuse"}]}
    return found


def loaded(folder: Path, content: dict[str, Any], end_id: int = 0) -> Tokenizer:
    (folder / "tokenizer.json").write_text(json.dumps(content))
    return huggingface.load(folder / "tokenizer.json", end_id)


def method(sha256: str, vocabulary: int = 320, separator: str = "</s>") -> HuggingFaceTokenizer:
    source = {
        "kind": "file",
        "path": "tokenizer.json",
        "sha256": sha256,
        "licence": "Apache-2.0",
        "members": (),
    }
    return HuggingFaceTokenizer.model_validate(
        {"kind": "huggingface", "file": source, "vocabulary": vocabulary, "separator": separator}
    )


def run(root: Path, wanted: HuggingFaceTokenizer, mirrors: tuple[Path, ...] = ()) -> Built:
    place = Placement(root, root / "artifacts", root / "sources", None, mirrors)
    stage = TokenizerStage(kind="tokenizer", method=wanted)
    return build(root, "tokenizer", lambda out: run_tokenizer(stage, Inputs({}), out, place))


def test_a_published_file_becomes_an_artifact_as_it_is(tmp_path: Path) -> None:
    data = json.dumps(byte_level()).encode()
    (tmp_path / "tokenizer.json").write_bytes(data)
    built = run(tmp_path, method(hashlib.sha256(data).hexdigest()))
    folder = built.outputs["model"].folder
    assert (folder / "tokenizer.json").read_bytes() == data
    assert built.metrics == {"vocabulary": 320, "end_id": 0}
    assert load_tokenizer(folder).decode(load_tokenizer(folder).encode(TEXTS[0])[0]) == TEXTS[0].encode()


def test_what_the_spec_declares_must_be_so(tmp_path: Path) -> None:
    data = json.dumps(byte_level()).encode()
    with pytest.raises(ArtifactError, match=r"320 ids.*vocabulary: 321"):
        huggingface.check(321, "</s>", data, "tokenizer.json")
    with pytest.raises(ArtifactError, match="no token '<end>'; its special tokens: </s>"):
        huggingface.check(320, "<end>", data, "tokenizer.json")
    with pytest.raises(ArtifactError, match=r"no tokenizer\.json"):
        huggingface.check(320, "</s>", data[:100], "tokenizer.json")
    with pytest.raises(ArtifactError, match=r"tokenizer\.json"):
        huggingface.load(tmp_path / "tokenizer.json", 0)


def test_tokens_that_spell_no_bytes_are_refused(tmp_path: Path) -> None:
    content = byte_level() | {"decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True}}
    with pytest.raises(ArtifactError, match="decodes by WordPiece"):
        loaded(tmp_path, content)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return loaded(tmp_path_factory.mktemp("tiny"), byte_level())


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_byte_level_gives_every_text_back(tiny: Tokenizer, text: str) -> None:
    ids, ends = tiny.encode(text)
    data = text.encode()
    assert tiny.decode(ids) == data
    begins = [0, *ends.tolist()]
    assert all(tiny.decode(ids[i : i + 1]) == data[begins[i] : begins[i + 1]] for i in range(len(ids)))


def test_a_separator_written_in_a_text_is_plain_text(tiny: Tokenizer) -> None:
    ids, _ = tiny.encode("before</s>after")
    assert tiny.end_id not in ids.tolist()
    assert tiny.decode(ids) == b"before</s>after"


@pytest.mark.parametrize("text", ["abc a", " abc", "", "h\u00e9\n\U0001f600", "  a  bc "])
def test_the_space_that_llama_sets_in_front_is_no_part_of_the_text(tmp_path: Path, text: str) -> None:
    tokenizer = loaded(tmp_path, llama_like(), end_id=2)
    ids, ends = tokenizer.encode(text)
    data = text.encode()
    assert tokenizer.decode(ids) in (data, b" " + data)
    assert ends.tolist() == sorted(ends.tolist())
    assert ends[-1:].tolist() in ([len(data)], [])


def test_a_prefix_space_of_byte_level_files_is_no_part_of_the_text(tmp_path: Path) -> None:
    tokenizer = loaded(tmp_path, byte_level(add_prefix_space=True))
    for text, first in (("number", b" number"), (" number", b" number")):
        ids, ends = tokenizer.encode(text)
        assert tokenizer.decode(ids) == first
        assert ends[-1] == len(text)


def test_a_normaliser_that_changes_a_text_is_told(tmp_path: Path) -> None:
    tokenizer = loaded(tmp_path, byte_level() | {"normalizer": {"type": "NFC"}})
    assert tokenizer.decode(tokenizer.encode("\u00e9")[0]) == "\u00e9".encode()
    with pytest.raises(Irreversible):
        tokenizer.encode("e\u0301")


def test_the_tokenizer_of_gpt_neox(tmp_path: Path) -> None:
    folders = os.environ.get("FACSIMILE_MIRRORS", "")
    mirrors = tuple(Path(folder) for folder in folders.split(":") if folder)
    if not mirrors:
        pytest.skip("no mirror holds the tokenizer of GPT-NeoX; set FACSIMILE_MIRRORS")
    built = run(tmp_path, method(NEOX, vocabulary=50280, separator="<|endoftext|>"), mirrors)
    assert built.metrics == {"vocabulary": 50280, "end_id": 50279}
    tokenizer = load_tokenizer(built.outputs["model"].folder)
    for text in [*TEXTS, "    four spaces\n\n\tand <|endoftext|> as text"]:
        ids, ends = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text.encode()
        assert ends[-1] == len(text.encode())
        assert tokenizer.end_id not in ids.tolist()
    assert tokenizer.encode("Hello world")[0].tolist() == [12092, 1533]
