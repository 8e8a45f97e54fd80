"""The entry of the models room: published weights and their tokenizer, checked and brought into the engine's form."""

from pydantic import JsonValue

from engine.artifacts.draft import Draft
from engine.artifacts.placement import Placement
from engine.artifacts.read import Inputs
from engine.models.pretrained.spec import Import


def run_import(stage: Import, _inputs: Inputs, out: Draft, placement: Placement) -> dict[str, JsonValue]:
    """Fetches and checks the files; writes `weights`, and `tokenizer` when the stage asks for it."""
    from engine.models.pretrained.take import take  # torch: not in the base install

    return take(stage, out, placement)
