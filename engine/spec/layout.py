"""How a training run is laid out on devices: identity under `repeat`, placement under `regroup`."""

from typing import Literal

from pydantic import Field

from engine.spec.base import NEUTRAL, Spec
from engine.spec.units import Count

BUCKET_ELEMENTS = (
    2**25
)  # 128 MiB of fp32: assumed; under `repeat` part of the identity, since it groups what is reduced


Determinism = Literal["repeat", "regroup"]
"""What a spec promises of its bits: the same again, or the same in every layout."""


class Layout(Spec):
    """Ranks, ZeRO stage, and what is kept for the backward pass."""

    world: Count = 1
    zero: Literal[0, 1, 2, 3] = 0
    activations: Literal["keep", "recompute"] = Field(default="keep", json_schema_extra={NEUTRAL: "keep"})
    """`recompute` keeps the input of each block alone, and computes the rest again in the backward pass."""
    bucket_elements: Count = Field(default=BUCKET_ELEMENTS, json_schema_extra={NEUTRAL: BUCKET_ELEMENTS})
    """Gradients that are reduced together."""
