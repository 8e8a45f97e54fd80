"""How a tokenizer's special tokens are written: a stop text may be one, and no text spells it."""

import json
from pathlib import Path
from typing import assert_never

from engine.data.tokenizer import read_info


def special_texts(folder: Path) -> dict[int, str]:
    """The special tokens of an output `model` or `tokenizer` by their ids."""
    info = read_info(folder)
    match info.kind:
        case "sentencepiece_bpe":
            return {0: "<unk>", 1: "<s>", 2: "</s>"}  # data/spec.py: SentencePieceBpe
        case "huggingface":
            added = json.loads((folder / info.file).read_bytes()).get("added_tokens") or []
            return {token["id"]: token["content"] for token in added if token.get("special")}
        case _:
            assert_never(info.kind)
