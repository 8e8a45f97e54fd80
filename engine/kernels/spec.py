"""Which backend computes each op; `reference` is the definition, and nothing falls back in silence."""

from typing import Literal

from engine.spec.base import Spec


class Kernels(Spec):
    """A backend for every op of a model and its training step."""

    attention: Literal["reference", "sdpa"] = "sdpa"
    norm: Literal["reference"] = "reference"
    rotary: Literal["reference"] = "reference"
    cross_entropy: Literal["reference"] = "reference"
    adamw: Literal["reference"] = "reference"
