"""Causal attention by torch.nn.functional.scaled_dot_product_attention; on a CPU its blocked kernel."""

# B batch, T positions, H query heads, G key heads, K head width

import torch.nn.functional as F
from torch import Tensor


def attention(q_BHTK: Tensor, k_BGTK: Tensor, v_BGTK: Tensor) -> Tensor:
    """Returns y_BHTK. Shared key heads are repeated first: torch's grouped path leaves the blocked kernel."""
    shared = q_BHTK.shape[1] // k_BGTK.shape[1]
    if shared > 1:
        k_BGTK, v_BGTK = (x.repeat_interleave(shared, dim=1) for x in (k_BGTK, v_BGTK))
    return F.scaled_dot_product_attention(q_BHTK, k_BGTK, v_BGTK, is_causal=True)
