"""The tokenizer of an artifact, whichever library it came from; only that library is imported."""

from pathlib import Path

from pydantic import ValidationError

from engine.artifacts.draft import Draft
from engine.data.spec import TokenizerKind
from engine.data.tokenizers.reversible import Irreversible, Tokenizer
from engine.spec.base import Spec
from engine.spec.errors import ArtifactError
from engine.spec.units import Count, Index, InnerPath

__all__ = ["INFO", "Irreversible", "Tokenizer", "TokenizerInfo", "load_tokenizer", "read_info", "write_tokenizer"]

INFO = "tokenizer_info.json"


class TokenizerInfo(Spec):
    """What lies beside the library's own file."""

    kind: TokenizerKind
    file: InnerPath
    vocabulary: Count
    end_id: Index


def write_tokenizer(out: Draft, output: str, info: TokenizerInfo, data: bytes) -> None:
    """Writes the output that `load_tokenizer` reads; `data` is the library's own file."""
    with out.file(output, info.file) as file:
        file.write(data)
    out.json(output, INFO, info)
    out.close(output)


def read_info(folder: Path) -> TokenizerInfo:
    """What the folder of an output `model` says of its tokenizer; ArtifactError when it cannot be read."""
    try:
        return TokenizerInfo.model_validate_json((folder / INFO).read_bytes())
    except (OSError, ValidationError) as error:
        raise ArtifactError(f"{folder / INFO} cannot be read ({error}); build the tokenizer again") from error


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer in the folder of an output `model`; ArtifactError when it cannot be read."""
    info = read_info(folder)
    match info.kind:
        case "sentencepiece_bpe":
            from engine.data.tokenizers import sentencepiece_bpe

            tokenizer = sentencepiece_bpe.load(folder / info.file)
        case "huggingface":
            from engine.data.tokenizers import huggingface

            tokenizer = huggingface.load(folder / info.file, info.end_id)
    if (tokenizer.vocabulary, tokenizer.end_id) != (info.vocabulary, info.end_id):
        raise ArtifactError(f"{folder / info.file} does not fit {INFO} beside it; build the tokenizer again")
    return tokenizer
