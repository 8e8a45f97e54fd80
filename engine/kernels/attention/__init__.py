"""Causal attention: `reference` is the definition, `sdpa` is torch's fused kernel."""

from typing import assert_never

from torch import Tensor

from engine.kernels.attention import reference, sdpa
from engine.kernels.spec import AttentionBackend


def attention(q_BHTK: Tensor, k_BGTK: Tensor, v_BGTK: Tensor, *, backend: AttentionBackend) -> Tensor:
    """Each query position over itself and all earlier ones; H query heads share G key heads in blocks of H / G."""
    match backend:
        case "reference":
            return reference.attention(q_BHTK, k_BGTK, v_BGTK)
        case "sdpa":
            return sdpa.attention(q_BHTK, k_BGTK, v_BGTK)
        case _:
            assert_never(backend)
