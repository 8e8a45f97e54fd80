"""A published `tokenizer.json`, read by the `tokenizers` library; ids that spell bytes, or it is refused.

Special tokens are never read from a text: `</s>` inside a document is four characters, so that a document cannot
forge a separator. (K2's own preparation did turn such a literal into the special id.)
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from engine.data.tokenizers.reversible import Ids, Tokenizer
from engine.spec.errors import ArtifactError

SPACE = "\u2581"


def check(declared: int, separator: str, data: bytes, name: str) -> int:
    """The id of the separator; ArtifactError when the file has not as many ids as declared, or spells no bytes."""
    model = _read(data, name)
    vocabulary = len(_tokens(model))
    if vocabulary != declared:
        raise ArtifactError(f"{name} has {vocabulary} ids, the spec declares vocabulary: {declared}")
    end_id = model.token_to_id(separator)
    if end_id is None:
        special = ", ".join(t.content for t in model.get_added_tokens_decoder().values() if t.special)
        raise ArtifactError(f"{name} has no token {separator!r}; its special tokens: {special or 'none'}")
    _spelling(data, name)
    return int(end_id)


def load(path: Path, end_id: int) -> Tokenizer:
    """The tokenizer of a `tokenizer.json` whose documents end with `end_id`."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error.strerror}); build the tokenizer again") from error
    model = _read(data, str(path))
    spell, prefix = _spelling(data, str(path))
    added = model.get_added_tokens_decoder()
    pieces = [b"" if token is None else spell(token) for token in _tokens(model)]
    for token, value in added.items():
        pieces[token] = b"" if value.special else value.content.encode()
    model.encode_special_tokens = True
    model.no_truncation()
    model.no_padding()

    def split(text: str) -> Ids:
        # the fast batch spares the offsets that the pieces give us anyway
        (found,) = model.encode_batch_fast([text], add_special_tokens=False)
        return np.array(found.ids, dtype=np.int32)

    return Tokenizer(pieces, end_id, split, prefix)


def special_ids(path: Path, names: tuple[str, ...]) -> tuple[int, ...]:
    """The ids of special tokens of a `tokenizer.json`; ArtifactError names those that it does not have."""
    model = _read(path.read_bytes(), str(path))
    special = {value.content: number for number, value in model.get_added_tokens_decoder().items() if value.special}
    missing = [name for name in names if name not in special]
    if missing:
        raise ArtifactError(
            f"{path} has no token {', '.join(missing)}; its special tokens: {', '.join(special) or 'none'}"
        )
    return tuple(special[name] for name in names)


def _read(data: bytes, name: str) -> tokenizers.Tokenizer:
    try:
        return tokenizers.Tokenizer.from_buffer(data)
    except Exception as error:  # the library has no narrower one for a faulty file
        raise ArtifactError(f"{name} is no tokenizer.json ({error})") from error


def _tokens(model: tokenizers.Tokenizer) -> list[str | None]:
    """The token of every id; None for an id that is not used."""
    by_token: dict[str, int] = model.get_vocab(with_added_tokens=True)
    tokens: list[str | None] = [None] * (max(by_token.values(), default=-1) + 1)
    for token, number in by_token.items():
        tokens[number] = token
    return tokens


def _spelling(data: bytes, name: str) -> tuple[Callable[[str], bytes], bytes]:
    """How this file's tokens spell bytes, and the prefix that it may set before a text."""
    content = json.loads(data)
    parts = {name: _parts(content.get(name)) for name in ("normalizer", "pre_tokenizer", "decoder")}
    kinds = {part["type"] for part in parts["decoder"]}
    if "ByteLevel" in kinds:
        before = any(part.get("add_prefix_space") for part in parts["pre_tokenizer"])
        return _byte_level(), b" " if before else b""
    if kinds & {"Metaspace", "ByteFallback"}:
        return _metaspace, b" "
    raise ArtifactError(
        f"{name} decodes by {', '.join(sorted(kinds)) or 'nothing'}, whose tokens do not spell bytes; "
        "a byte-level tokenizer (GPT-2, NeoX) or one with byte fallback (Llama) does"
    )


def _parts(node: Any) -> list[dict[str, Any]]:
    """A normalizer, pre-tokenizer or decoder as the flat list of its steps."""
    if node is None:
        return []
    if node["type"] != "Sequence":
        return [node]
    steps = [node[key] for key in ("normalizers", "pretokenizers", "decoders") if key in node]
    return [part for step in steps for inner in step for part in _parts(inner)]


def _byte_level() -> Callable[[str], bytes]:
    """GPT-2's alphabet: printable bytes stand for themselves, the others for the characters from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    byte_of = {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}

    def spell(token: str) -> bytes:
        return bytes(byte_of[char] for char in token) if byte_of.keys() >= set(token) else token.encode()

    return spell


def _metaspace(token: str) -> bytes:
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return bytes.fromhex(token[3:5])
    return token.replace(SPACE, " ").encode()
