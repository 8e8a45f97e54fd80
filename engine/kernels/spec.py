"""Which backend computes each op; `reference` is the definition, and nothing falls back in silence."""

from typing import Literal

from engine.spec.base import Spec

AttentionBackend = Literal["reference", "sdpa"]
NormBackend = Literal["reference"]
RotaryBackend = Literal["reference"]
CrossEntropyBackend = Literal["reference"]
AdamWBackend = Literal["reference"]


class Kernels(Spec):
    """A backend for every op of a model and its training step."""

    attention: AttentionBackend = "sdpa"
    norm: NormBackend = "reference"
    rotary: RotaryBackend = "reference"
    cross_entropy: CrossEntropyBackend = "reference"
    adamw: AdamWBackend = "reference"
