"""What no model takes: ids it does not know, empty batches, positions it has not got, a decode state that is full."""

from typing import Any

import pytest
import torch

from engine.kernels.record import check_declared, forget, record
from engine.kernels.spec import Kernels
from engine.models.spec import AlibiGpt, PartialRotary
from engine.spec.errors import ArtifactError
from engine.train.objectives.next_token import next_token
from tests.models.test_packed import MODELS, llama, loaded

ROTARY = AlibiGpt(
    kind="alibi_gpt", vocabulary=97, layers=1, width=32, heads=4, mlp=44, context=64,
    position=PartialRotary(kind="partial_rotary", channels=4),
)  # fmt: skip
FAMILIES: dict[str, Any] = {
    "llama": llama(layers=1),
    "alibi_gpt": MODELS["alibi_gpt"],
    "rotary": ROTARY,
    "mamba2": MODELS["mamba2"],
}


@pytest.mark.parametrize("name", FAMILIES)
def test_what_a_model_does_not_take_is_told(name: str) -> None:
    model, known = loaded(FAMILIES[name], Kernels()), torch.zeros(2, 8, dtype=torch.int64)
    for ids, told in (
        (known + 97, "ids run from 97 to 97, and the model knows 0 to 96"),
        (known - 1, "ids run from -1 to -1"),
        (known[:0], r"the batch of ids is empty, of shape \(0, 8\)"),
        (known[:, :0], r"the batch of ids is empty, of shape \(2, 0\)"),
        (known[0], r"takes ids \[B, T\] in int64 or int32, not torch.int64 \(8,\)"),
        (known.float(), "not torch.float32"),
    ):
        with pytest.raises(ArtifactError, match=told):
            model(ids)
    state = model.begin(2, 8)
    for ids, told in (
        (known[:, 0] + 97, "ids run from 97"),
        (known, "takes ids"),
        (known[:1, 0], "1 ids does not fit"),
    ):
        with pytest.raises(ArtifactError, match=told):
            model.step(ids, state)
    for rows, positions in ((0, 8), (2, 0)):
        with pytest.raises(ArtifactError, match="it has at least one of each"):
            model.begin(rows, positions)


@pytest.mark.parametrize("name", ["llama", "rotary"])
def test_positions_beyond_the_context_are_refused(name: str) -> None:
    model, ids_BT = loaded(FAMILIES[name], Kernels()), torch.zeros(1, 65, dtype=torch.int64)
    with pytest.raises(ArtifactError, match="65 positions do not fit a context of 64"):
        model(ids_BT)
    with pytest.raises(ArtifactError, match="65 positions do not fit a context of 64"):
        model.begin(1, 65)


def test_a_weight_that_is_not_a_number_makes_the_loss_none_either() -> None:
    """So that a run stops at this step: the residual alone would carry whole numbers on."""
    model = loaded(llama(linear={"kind": "dense"}), Kernels())
    with torch.no_grad():
        model.get_parameter("layers.1.attention.query.weight")[0, 0] = float("nan")
    loss = next_token(model, torch.arange(8)[None], Kernels().linear_cross_entropy)["next_token"]
    assert loss.isnan()


@torch.no_grad()
def test_a_full_decode_state_takes_no_more() -> None:
    model, ids_B = loaded(FAMILIES["llama"], Kernels()), torch.zeros(1, dtype=torch.int64)
    state = model.begin(1, 2)
    for _ in range(2):
        model.step(ids_B, state)
    with pytest.raises(ArtifactError, match="room for 2 positions, and all are taken"):
        model.step(ids_B, state)


@torch.no_grad()
@pytest.mark.parametrize("name", ["llama", "mamba2"])
def test_decode_steps_are_noted(name: str) -> None:
    model = loaded(FAMILIES[name], Kernels())
    forget()
    model.step(torch.zeros(1, dtype=torch.int64), model.begin(1, 2))
    assert record()["decode"] == [{"kind": "reference"}]
    check_declared(Kernels())
    forget()
