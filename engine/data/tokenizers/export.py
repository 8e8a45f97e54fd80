"""A tokenizer for transformers: tokenizer.json and tokenizer_config.json that give the ids a model was trained on.

A sentencepiece BPE merges, among all neighbours that together spell a piece, those whose piece ranks best, leftmost
first, until none are left. The `tokenizers` library ranks pairs instead, and two pairs that spell one piece would have
two ranks. One pair a piece is enough, the last merge when the piece is encoded alone: wherever a piece is built, no
merge has crossed its borders, so the merges inside were chosen as if it stood alone. Every merge that sentencepiece
makes is thus in the list, best first, and the list has no other: the ids are equal for every text.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import sentencepiece
import tokenizers

from engine.data.tokenizer import TokenizerInfo, load_tokenizer, read_info
from engine.data.tokenizers.sentencepiece_bpe import SPACE
from engine.spec.canonical import pretty

Pair = tuple[str, str]
FILE, CONFIG = "tokenizer.json", "tokenizer_config.json"
MODEL = "tokenizer.model"  # by this name llama.cpp and others look for it


def export_tokenizer(model: Path, folder: Path) -> TokenizerInfo:
    """Writes the tokenizer of an output `model` for AutoTokenizer; a sentencepiece model is put beside it as it is."""
    load_tokenizer(model)  # told now if it is damaged
    info = read_info(model)
    match info.kind:
        case "sentencepiece_bpe":
            content = converted(model / info.file)
            (folder / FILE).write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
            shutil.copyfile(model / info.file, folder / MODEL)
        case "huggingface":
            (folder / FILE).write_bytes(bare((model / info.file).read_bytes()))
    end = tokenizers.Tokenizer.from_file(str(folder / FILE)).id_to_token(info.end_id)
    assert end is not None
    (folder / CONFIG).write_text(pretty(config_of(end)), encoding="utf-8")
    return info


def config_of(end: str) -> dict[str, Any]:
    """transformers' tokenizer_config.json: nothing is added to a text, and no special token is read from one."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": end,
        "bos_token": None,  # no document of ours begins with one
        "add_bos_token": False,
        "add_eos_token": False,
        "split_special_tokens": True,
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
    }


def bare(data: bytes) -> bytes:
    """A published tokenizer.json without truncation, padding and added special tokens; as it is if it has none."""
    content = json.loads(data)
    changed = content | {"truncation": None, "padding": None}
    if tokenizers.Tokenizer.from_buffer(data).num_special_tokens_to_add(is_pair=False):
        changed["post_processor"] = None
    return data if changed == content else json.dumps(changed, ensure_ascii=False).encode()


def converted(path: Path) -> dict[str, Any]:
    """The tokenizer.json of a `tokenizer.model` of ours: no normalisation but for the space, no pre-tokens."""
    processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
    ids = range(processor.vocab_size())
    pieces = [str(processor.id_to_piece(token)) for token in ids]
    special = [token for token in ids if processor.is_control(token) or processor.is_unknown(token)]
    learnt = [token for token in ids if token not in special and not processor.is_byte(token)]
    ranked = sorted(learnt, key=lambda token: -processor.get_score(token))
    assert len(set(pieces)) == len(pieces)
    assert len({processor.get_score(token) for token in learnt}) == len(learnt)  # else two merges would be equal
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_special(token, pieces[token]) for token in special],
        "normalizer": _replace(" ", SPACE),
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {
            "type": "Sequence",
            "decoders": [_replace(SPACE, " "), {"type": "ByteFallback"}, {"type": "Fuse"}],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": pieces[processor.unk_id()],
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": {piece: token for token, piece in enumerate(pieces)},
            "merges": merges([pieces[token] for token in ranked]),
        },
    }


def merges(pieces: Sequence[str]) -> list[Pair]:
    """The one pair that each piece is merged from, best first; a piece that no text has is left out."""
    rank = {piece: place for place, piece in enumerate(pieces)}
    assert rank.keys() >= set("".join(pieces))  # so that no piece is built on a character that falls back to bytes
    return [pair for piece in pieces if len(piece) > 1 and (pair := last_merge(piece, rank))]


def last_merge(piece: str, rank: Mapping[str, int]) -> Pair | None:
    """The last merge when a piece is encoded alone; None when other merges come in its way."""
    parts = list(piece)
    while len(parts) > 2:
        ranks = [rank.get(left + right, len(rank)) for left, right in pairwise(parts)]
        best = min(ranks)
        if best == len(rank):
            return None
        place = ranks.index(best)
        parts[place : place + 2] = ["".join(parts[place : place + 2])]
    left, right = parts
    return left, right


def _replace(old: str, new: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"String": old}, "content": new}


def _special(token: int, piece: str) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": token, "content": piece, **flags}
