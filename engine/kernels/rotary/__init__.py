"""Rotary positions: pairs of channels turn by an angle that grows with the position (Su et al. 2021, RoFormer)."""

from typing import assert_never

from torch import Tensor

from engine.kernels.rotary import reference
from engine.kernels.rotary.check import check
from engine.kernels.rotary.native import kernel as native
from engine.kernels.spec import RotaryBackend


def rotate(x_BHTK: Tensor, cos_TJ: Tensor, sin_TJ: Tensor, *, backend: RotaryBackend) -> Tensor:
    """Turns channel j against channel j + K/2 (the pairing of Hugging Face's models) by the angle of the position.

    ArtifactError for tables of other positions or channels.
    """
    check(x_BHTK, cos_TJ, sin_TJ)
    match backend:
        case "reference":
            return reference.rotate(x_BHTK, cos_TJ, sin_TJ)
        case "native":
            return native.rotate(x_BHTK, cos_TJ, sin_TJ)
        case _:
            assert_never(backend)
