"""Our decoders as lm-eval's LM: every request alone through the model, so that no number depends on a neighbour.

Products of a batch are not those of its rows on every BLAS, so rows are never joined; a pass over equal ids is all that
requests share. Tokens are those of lm-eval's own model for transformers (HFLM) on our export: nothing is added to a
text, the end token stands in for an empty context, and a sequence that is too long loses its beginning. With `lead`
they are HFLM's under `add_bos_token`: that id before every text, windows of rolling scores included.

T positions, V vocabulary, N tokens of a continuation.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs, postprocess_generated_text
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from torch import Tensor

from engine.artifacts.progress import progress
from engine.data.tokenizer import Irreversible, Tokenizer
from engine.models.decoder import Decoder
from engine.spec.errors import ArtifactError

MOST_TOKENS = 256  # of a generated text where a task does not say; lm-eval's own default
Pair = tuple[tuple[str, str] | None, list[int], list[int]]
Score = tuple[float, bool]


class DecoderLM(TemplateLM):  # type: ignore[misc]  # lm-eval has no types
    """A decoder and its tokenizer; at most `context` positions go through the model."""

    def __init__(
        self,
        model: Decoder[Any],
        tokenizer: Tokenizer,
        context: int,
        batch_rows: int,
        special: Mapping[int, str] | None = None,
        lead: int | None = None,
    ) -> None:
        super().__init__()
        self._lead = [] if lead is None else [lead]
        self._special = dict(special or {})  # special tokens as they are written: a stop text may be one
        self.truncated = 0  # requests that lost their beginning
        self._model, self._text, self._context, self._batch_rows = model, tokenizer, context, batch_rows

    @property
    def eot_token_id(self) -> int:
        return self._text.end_id

    @property
    def prefix_token_id(self) -> int:
        """All there is of an empty context."""
        return self._lead[0] if self._lead else self.eot_token_id

    def tok_encode(self, string: str, add_special_tokens: bool | None = None) -> list[int]:
        """The ids of a text after the leading one, where there is one; ArtifactError when they do not spell it."""
        try:
            ids, _ = self._text.encode(string)
        except Irreversible as error:
            raise ArtifactError(f"the tokenizer cannot give back the text {string[:60]!r}: {error}") from error
        lead = [] if add_special_tokens is False else self._lead
        return [*lead, *(int(token) for token in ids)]

    def _loglikelihood_tokens(self, requests: list[Pair], disable_tqdm: bool = False) -> list[Score]:
        order = sorted(range(len(requests)), key=lambda place: _longest_first(requests[place]))
        found: dict[int, Score] = {}
        starts = range(0, len(order), self._batch_rows)
        batches = (order[begin : begin + self._batch_rows] for begin in starts)
        watched = batches if disable_tqdm else progress(batches, len(starts), "batches", "lm_eval")
        for places in watched:
            chosen = [requests[place] for place in places]
            found.update(zip(places, self._batch(chosen), strict=True))
        return [found[place] for place in range(len(requests))]

    def _batch(self, requests: Sequence[Pair]) -> list[Score]:
        """Scores of some requests; those whose input is equal share its pass."""
        passes: dict[tuple[int, ...], Tensor] = {}
        scores = []
        for _, context, continuation in requests:
            ids, count = self._cut(context, continuation)
            key = (count, *ids[:-1])
            if key not in passes:
                passes[key] = log_probabilities(self._model, ids[:-1], count)
            scores.append(score(passes[key], continuation))
        return scores

    def _cut(self, context: list[int], continuation: list[int]) -> tuple[list[int], int]:
        """The last context + 1 ids, and how many of them are the continuation."""
        if not continuation or len(continuation) > self._context:
            raise ArtifactError(
                f"a continuation of {len(continuation)} tokens cannot be scored in a context of {self._context}"
            )
        ids = context + continuation
        self.truncated += len(ids) > self._context + 1
        return ids[-(self._context + 1) :], len(continuation)

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Sums over disjoint windows, each after one token of context, the first after the end token."""
        totals = []
        for (text,) in (request.args for request in requests):
            windows = get_rolling_token_windows(
                token_list=self.tok_encode(text),
                prefix_token=self.prefix_token_id,
                max_seq_len=self._context,
                context_len=1,
            )
            pairs: list[Pair] = [(None, *make_disjoint_window(window)) for window in windows]
            totals.append(sum(value for value, _ in self._loglikelihood_tokens(pairs, disable_tqdm)))
        return totals

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """The most likely text, id by id, up to a stop text or the task's number of tokens."""
        watched: Iterable[Instance] = requests
        if not disable_tqdm:
            watched = progress(requests, len(requests), "texts", "lm_eval")
        return [self._generate(*request.args) for request in watched]

    def _generate(self, context: str, settings: dict[str, Any]) -> str:
        wanted = normalize_gen_kwargs(settings, MOST_TOKENS)
        if wanted.get("do_sample") or wanted.get("temperature"):
            raise ArtifactError("the task samples its texts; here only the most likely text is generated")
        stops = [text for text in handle_stop_sequences(wanted.get("until"), eos=None) if text]
        count = int(wanted["max_gen_toks"])
        room = self._context - count
        if room < 1:
            raise ArtifactError(f"{count} generated tokens leave no room in a context of {self._context}")
        ids = self.tok_encode(context)
        self.truncated += len(ids) > room
        written = self._continue(ids[-room:], count, stops)
        found: str = postprocess_generated_text(generation=written, stop=stops, think_end_token=None)
        return found

    @torch.inference_mode()
    def _continue(self, ids: list[int], count: int, stops: list[str]) -> str:
        """The text of up to `count` ids; it may go past a stop text, which is cut off later."""
        state = self._model.begin(1, len(ids) + count)
        logits_1V = torch.empty(0)
        for token in ids:
            logits_1V = self._model.step(torch.tensor([token]), state)
        found: list[int] = []
        while len(found) < count:
            token = int(logits_1V.argmax(dim=-1))
            if token == self.eot_token_id:
                break
            found.append(token)
            written = self._spell(found, self._special)
            if any(stop in written for stop in stops):
                break
            logits_1V = self._model.step(torch.tensor([token]), state)
        return self._spell(found)

    def _spell(self, ids: list[int], special: Mapping[int, str] = MappingProxyType({})) -> str:
        """The text of ids; those that only the model has spell nothing, special ones what the caller says."""
        pieces = (special[token].encode() if token in special else self._piece(token) for token in ids)
        return b"".join(pieces).decode("utf-8", "replace")

    def _piece(self, token: int) -> bytes:
        return self._text.decode(np.array([token])) if token < self._text.vocabulary else b""


def _longest_first(request: Pair) -> tuple[int, list[int]]:
    ids = request[1] + request[2]
    return -len(ids), ids


@torch.inference_mode()
def log_probabilities(model: Decoder[Any], ids: list[int], count: int) -> Tensor:
    """logp_NV of the ids that follow the last `count` inputs, in fp32."""
    logits_1TV: Tensor = model(torch.tensor([ids]))
    return torch.log_softmax(logits_1TV[0, -count:].float(), dim=-1)


def score(logp_NV: Tensor, continuation: Sequence[int]) -> Score:
    """The fp32 sum of the continuation's log-probabilities, and whether each of its ids was the most likely one."""
    ids_N = torch.tensor(continuation)
    most_likely = bool((logp_NV.argmax(dim=-1) == ids_N).all())
    return float(logp_NV.gather(-1, ids_N[:, None]).squeeze(-1).sum()), most_likely
