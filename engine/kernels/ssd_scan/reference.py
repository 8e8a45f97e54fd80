"""The recurrence as it is written, one position after another."""

# B batch, T positions, H heads, P head width, G groups of heads that share B and C, N state

import torch
from torch import Tensor

from engine.kernels.record import ran


def ssd_scan(x_BTHP: Tensor, dt_BTH: Tensor, a_H: Tensor, b_BTGN: Tensor, c_BTGN: Tensor, d_H: Tensor) -> Tensor:
    """Returns y_BTHP."""
    ran("ssd_scan", "reference")
    batch, tokens, heads, width = x_BTHP.shape
    state_BHPN = x_BTHP.new_zeros(batch, heads, width, b_BTGN.shape[-1])
    found = []
    for t in range(tokens):
        y_BHP, state_BHPN = advance(x_BTHP[:, t], dt_BTH[:, t], a_H, b_BTGN[:, t], c_BTGN[:, t], d_H, state_BHPN)
        found.append(y_BHP)
    return torch.stack(found, dim=1)


def step(
    x_BHP: Tensor, dt_BH: Tensor, a_H: Tensor, b_BGN: Tensor, c_BGN: Tensor, d_H: Tensor, state_BHPN: Tensor
) -> tuple[Tensor, Tensor]:
    """y_BHP and the next state of one position: what decoding needs, constant in memory whatever came before."""
    ran("decode", "reference")
    return advance(x_BHP, dt_BH, a_H, b_BGN, c_BGN, d_H, state_BHPN)


def advance(
    x_BHP: Tensor, dt_BH: Tensor, a_H: Tensor, b_BGN: Tensor, c_BGN: Tensor, d_H: Tensor, state_BHPN: Tensor
) -> tuple[Tensor, Tensor]:
    """y_BHP and the next state of one position."""
    shared = x_BHP.shape[1] // b_BGN.shape[1]
    b_BHN, c_BHN = (group.repeat_interleave(shared, dim=1) for group in (b_BGN, c_BGN))
    decay_BH11 = torch.exp(dt_BH * a_H)[..., None, None]
    after_BHPN = decay_BH11 * state_BHPN + (dt_BH[..., None] * x_BHP)[..., None] * b_BHN[..., None, :]
    y_BHP = (after_BHPN * c_BHN[..., None, :]).sum(dim=-1)
    return y_BHP + d_H[:, None] * x_BHP, after_BHPN
