"""Causal attention by torch.nn.functional.scaled_dot_product_attention; on a CPU its blocked kernel.

That kernel takes a block of keys in which no score is above -infinity for one that is masked: a row of NaN becomes 0.
So queries and keys are looked at first, and a row whose scores may not all be finite numbers is NaN, and so are its
gradients.
"""

# B batch, T positions, H query heads, G key heads, K head width

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from engine.kernels.record import ran

BLOCKED = (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION)  # without MATH, torch refuses to fall back


def attention(q_BHTK: Tensor, k_BGTK: Tensor, v_BGTK: Tensor, scale: float, bias_HTT: Tensor | None) -> Tensor:
    """Returns y_BHTK. Shared key heads are repeated first: torch's grouped path leaves the blocked kernel.

    A bias is finite, or -infinity where the key is later.
    """
    ran("attention", "sdpa")
    shared = q_BHTK.shape[1] // k_BGTK.shape[1]
    if shared > 1:
        k_BGTK, v_BGTK = (x.repeat_interleave(shared, dim=1) for x in (k_BGTK, v_BGTK))
    mask_1HTT = None if bias_HTT is None else bias_HTT[None]
    with sdpa_kernel(list(BLOCKED)):
        y_BHTK = F.scaled_dot_product_attention(
            q_BHTK, k_BGTK, v_BGTK, attn_mask=mask_1HTT, is_causal=bias_HTT is None, scale=scale
        )
    return _told(y_BHTK, bounds(q_BHTK.detach(), k_BGTK.detach(), scale))


def bounds(q_BHTK: Tensor, k_BHTK: Tensor, scale: float) -> Tensor:
    """What no score of a row exceeds, |scale| |q_t| |k_s| of the longest key up to it [B, H, T]; NaN goes through."""
    longest_BHT: Tensor = torch.linalg.vector_norm(k_BHTK, dim=-1).cummax(dim=-1)[0]
    lengths_BHT: Tensor = torch.linalg.vector_norm(q_BHTK, dim=-1)
    return lengths_BHT * longest_BHT * abs(scale)


def _told(y_BHTK: Tensor, bounds_BHT: Tensor) -> Tensor:
    """y, times NaN where a bound is not finite; times 1, which changes no bit, or not at all, elsewhere."""
    if y_BHTK.device.type == "cpu" and not torch.compiler.is_compiling() and bool(bounds_BHT.isfinite().all()):
        return y_BHTK
    return y_BHTK * (bounds_BHT - bounds_BHT + 1.0)[..., None].to(y_BHTK.dtype)
