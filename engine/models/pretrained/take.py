"""Published weights in the engine's names and fp32, one tensor in memory at a time; their tokenizer beside them."""

from pydantic import JsonValue

from engine.artifacts.draft import Draft
from engine.artifacts.placement import Placement
from engine.models.pretrained.spec import Import


def take(stage: Import, out: Draft, placement: Placement) -> dict[str, JsonValue]:
    """Writes the outputs of an import."""
    raise NotImplementedError
