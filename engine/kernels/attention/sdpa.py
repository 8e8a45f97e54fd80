"""Causal attention by torch.nn.functional.scaled_dot_product_attention; on a CPU its blocked kernel."""

# B batch, T positions, H query heads, G key heads, K head width

import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from engine.kernels.record import ran

BLOCKED = (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION)  # without MATH, torch refuses to fall back


def attention(q_BHTK: Tensor, k_BGTK: Tensor, v_BGTK: Tensor, scale: float, bias_HTT: Tensor | None) -> Tensor:
    """Returns y_BHTK. Shared key heads are repeated first: torch's grouped path leaves the blocked kernel."""
    ran("attention", "sdpa")
    shared = q_BHTK.shape[1] // k_BGTK.shape[1]
    if shared > 1:
        k_BGTK, v_BGTK = (x.repeat_interleave(shared, dim=1) for x in (k_BGTK, v_BGTK))
    mask_1HTT = None if bias_HTT is None else bias_HTT[None]
    with sdpa_kernel(list(BLOCKED)):
        return F.scaled_dot_product_attention(
            q_BHTK, k_BGTK, v_BGTK, attn_mask=mask_1HTT, is_causal=bias_HTT is None, scale=scale
        )
