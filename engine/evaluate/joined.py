"""Perplexity of one text joined from all documents, in whole windows, as papers on compression measure WikiText-2.

A window of T ids gives T - 1 scores: its first id is context alone, and no window sees another. The protocol of GPTQ
(Frantar et al. 2022), which SparseGPT, Wanda and GBLM-Pruner took over.
"""

import math
from collections.abc import Iterable

import numpy as np
from pydantic import JsonValue
from torch import nn

from engine.data.documents import Document
from engine.data.tokenizer import Irreversible, Tokenizer
from engine.evaluate.spec import Joined
from engine.evaluate.tally import ALL, perplexity
from engine.evaluate.windows import window_losses
from engine.spec.errors import ArtifactError


def joined_scores(
    how: Joined,
    model: nn.Module,
    texts: Iterable[Document],
    tokenizer: Tokenizer,
    window_tokens: int,
    batch_rows: int,
) -> dict[str, JsonValue]:
    """The scores under `all`; `bytes` are those that the scored ids spell. ArtifactError when no window is full."""
    ids = joined_ids(how, [document.text for document in texts], tokenizer)
    windows = whole_windows(ids, window_tokens)
    if not windows:
        raise ArtifactError(f"the documents are {len(ids)} tokens, which fill no window of {window_tokens}")
    nll = math.fsum(window_losses(model, windows, batch_rows))
    tokens = sum(len(window) - 1 for window in windows)
    size = sum(len(tokenizer.decode(window[1:])) for window in windows)
    return {
        ALL: {
            "windows": len(windows),
            "tokens": tokens,
            "left_out": len(ids) - len(windows) * window_tokens,
            "bytes": size,
            "nll": nll,
            "token_perplexity": perplexity(nll, tokens),
            "bits_per_byte": nll / math.log(2) / size if size else None,
        }
    }


def joined_ids(how: Joined, texts: list[str], tokenizer: Tokenizer) -> np.ndarray:
    """The ids of all documents as one text, the leading ones first; the whole text lies in memory."""
    try:
        ids, _ = tokenizer.encode(how.between.join(texts))
    except Irreversible as error:
        raise ArtifactError(
            f"the joined documents do not come back from their ids ({error}); clean them first"
        ) from error
    return np.concatenate([np.array(how.lead, dtype=np.int32), ids])[: how.first_tokens]


def whole_windows(ids: np.ndarray, window_tokens: int) -> list[np.ndarray]:
    """Pieces of exactly window_tokens ids, side by side; what is left at the end is dropped."""
    return [ids[begin : begin + window_tokens] for begin in range(0, len(ids) - window_tokens + 1, window_tokens)]
