"""The gate of SwiGLU: silu(gate) * up, elementwise."""

from typing import assert_never

from torch import Tensor

from engine.kernels.gate import reference
from engine.kernels.gate.check import check
from engine.kernels.gate.native import kernel as native
from engine.kernels.spec import GateBackend


def gated(gate: Tensor, up: Tensor, *, backend: GateBackend) -> Tensor:
    """Both arguments have one shape, and so has the result (Shazeer 2020); ArtifactError otherwise."""
    check(gate, up)
    match backend:
        case "reference":
            return reference.gated(gate, up)
        case "native":
            return native.gated(gate, up)
        case _:
            assert_never(backend)
