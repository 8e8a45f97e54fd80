"""The tokenizer of an artifact, whichever library it came from."""

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from engine.data.tokenizers import huggingface, sentencepiece_bpe
from engine.data.tokenizers.reversible import Irreversible, Tokenizer
from engine.spec.base import Spec
from engine.spec.errors import ArtifactError
from engine.spec.units import Count, Index

__all__ = ["INFO", "Irreversible", "Tokenizer", "TokenizerInfo", "load_tokenizer"]

INFO = "tokenizer_info.json"


class TokenizerInfo(Spec):
    """What lies beside the library's own file."""

    kind: Literal["sentencepiece_bpe", "huggingface"]
    file: Literal["tokenizer.model", "tokenizer.json"]
    vocabulary: Count
    end_id: Index


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer in the folder of an output `model`; ArtifactError when it cannot be read."""
    try:
        info = TokenizerInfo.model_validate_json((folder / INFO).read_bytes())
    except (OSError, ValidationError) as error:
        raise ArtifactError(f"{folder / INFO} cannot be read ({error}); build the tokenizer again") from error
    match info.kind:
        case "sentencepiece_bpe":
            tokenizer = sentencepiece_bpe.load(folder / info.file)
        case "huggingface":
            tokenizer = huggingface.load(folder / info.file, info.end_id)
    if (tokenizer.vocabulary, tokenizer.end_id) != (info.vocabulary, info.end_id):
        raise ArtifactError(f"{folder / info.file} does not fit {INFO} beside it; build the tokenizer again")
    return tokenizer
