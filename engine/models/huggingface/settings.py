"""A config.json asked for its settings one by one: what is missing, odd or unknown is refused by name, never passed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

from engine.spec.errors import ArtifactError

NEUTRAL = frozenset(
    {
        "_attn_implementation_autoset", "_flash_attn_2_enabled", "_name_or_path", "architectures", "attention_dropout",
        "attn_implementation", "bad_words_ids", "begin_suppress_tokens", "bos_token_id", "chunk_size_feed_forward",
        "decoder_start_token_id", "diversity_penalty", "do_sample", "dtype", "early_stopping",
        "encoder_no_repeat_ngram_size", "eos_token_id", "exponential_decay_length_penalty", "finetuning_task",
        "forced_bos_token_id", "forced_eos_token_id", "id2label", "initializer_range", "is_decoder", "is_llama_config",
        "label2id", "length_penalty", "max_length", "max_sequence_length", "min_length", "model_type",
        "no_repeat_ngram_size", "num_beam_groups", "num_beams", "num_return_sequences", "output_attentions",
        "output_hidden_states", "output_scores", "pad_token_id", "prefix", "pretraining_tp", "problem_type",
        "remove_invalid_values", "repetition_penalty", "return_dict", "return_dict_in_generate", "sep_token_id",
        "suppress_tokens", "task_specific_params", "temperature", "tf_legacy_loss", "tokenizer_class", "top_k", "top_p",
        "torch_dtype", "torchscript", "transformers.js_config", "transformers_version", "typical_p", "use_bfloat16",
        "use_cache",
    }
)  # fmt: skip
"""Settings of transformers that say nothing about logits: labels, sampling, storage, training, where it comes from.

`pretraining_tp` cuts products into parts and adds them again: the same sums.
"""
ALWAYS = {"add_cross_attention": False, "is_encoder_decoder": False, "tie_encoder_decoder": False}
HINTS = {
    "quantization_config": "take a revision whose weights are floating-point numbers",
    "rope_scaling": "positions turn by the plain base alone",
    "rope_parameters": "positions turn by the plain base alone",
    "auto_map": "it may compute something else; name a folder of transformers' own class",
}


@final
@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one config.json (or of one part of it); null is as good as absent, as in transformers."""

    where: str
    family: str
    found: Mapping[str, Any]

    def has(self, key: str) -> bool:
        return self.found.get(key) is not None

    def count(self, key: str, default: int | None = None) -> int:
        """A positive whole number."""
        value = self._value(key, default, "a positive whole number")
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ArtifactError(f"{self.where}: {key} is {value!r}, not a positive whole number")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A positive number."""
        value = self._value(key, default, "a positive number")
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < float("inf"):
            raise ArtifactError(f"{self.where}: {key} is {value!r}, not a positive number")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self._value(key, default, "true or false")
        if not isinstance(value, bool):
            raise ArtifactError(f"{self.where}: {key} is {value!r}, not true or false")
        return value

    def part(self, key: str) -> "Settings":
        """The settings of an object inside; of none when it is absent."""
        value = self._value(key, {}, "an object")
        if not isinstance(value, dict):
            raise ArtifactError(f"{self.where}: {key} is {value!r}, not an object")
        return Settings(f"{self.where}: {key}", self.family, value)

    def only(self, read: Iterable[str], fixed: Mapping[str, Any]) -> None:
        """ArtifactError for a setting that is neither read, nor neutral, nor has the value that the module follows."""
        self.fixed({**ALWAYS, **fixed})
        known = {*NEUTRAL, *ALWAYS, *read, *fixed}
        for key, value in self.found.items():
            if key not in known and value not in (None, {}, [], ""):
                hint = HINTS.get(key, "it must be null or absent")
                raise ArtifactError(
                    f"{self.where}: {key} is {value!r}, which the engine's {self.family} does not follow; {hint}"
                )

    def fixed(self, wanted: Mapping[str, Any]) -> None:
        """ArtifactError with the first setting that has another value than the module follows."""
        for key, value in wanted.items():
            if self.has(key) and self.found[key] != value:
                raise ArtifactError(
                    f"{self.where}: {key} is {self.found[key]!r}; the engine's {self.family} has {value!r}"
                )

    def divides(self, key: str, width: int, what: str) -> int:
        """A count that `width` is a multiple of."""
        value = self.count(key)
        if width % value:
            raise ArtifactError(f"{self.where}: {key} is {value}, which does not divide {what} {width}")
        return value

    def _value(self, key: str, default: Any, wanted: str) -> Any:
        value = self.found[key] if self.has(key) else default
        if value is None:
            raise ArtifactError(f"{self.where} has no {key}; the engine's {self.family} needs {wanted}")
        return value
