"""The scan by torch's products: attention-like inside a chunk, a recurrence of states between chunks.

Dao and Gu 2024, section 6. B and C are never repeated for the heads that share them, and one chunk is worked on at a
time. Any dtype and device; autograd does the backward pass.

Inputs that are not finite at t make outputs NaN from the first position of t's chunk on: the products inside a chunk
multiply what is later by zero, and zero times NaN is NaN. Chunks before it are not reached.
"""

# B batch, Q positions of a chunk, G groups, S heads of a group, P head width, N state

import torch
from torch import Tensor

from engine.kernels.record import ran


def ssd_scan(
    x_BTHP: Tensor, dt_BTH: Tensor, a_H: Tensor, b_BTGN: Tensor, c_BTGN: Tensor, d_H: Tensor, chunk: int
) -> Tensor:
    """Returns y_BTHP. The last chunk is as short as the positions leave it."""
    ran("ssd_scan", "chunked", chunk=chunk)
    batch, tokens, heads, width = x_BTHP.shape
    groups, n = b_BTGN.shape[2:]
    grouped = (groups, heads // groups)
    skip_BTHP = d_H[:, None] * x_BTHP
    in_BTGSP = (dt_BTH[..., None] * x_BTHP).view(batch, tokens, *grouped, width)
    a_BTGS = (dt_BTH * a_H).view(batch, tokens, *grouped)
    state_BGSPN = x_BTHP.new_zeros(batch, *grouped, width, n)
    found = []
    for begin in range(0, tokens, chunk):
        part = slice(begin, begin + chunk)
        y_BQGSP, state_BGSPN = one_chunk(
            in_BTGSP[:, part], a_BTGS[:, part], b_BTGN[:, part], c_BTGN[:, part], state_BGSPN
        )
        found.append(y_BQGSP)
    return torch.cat(found, dim=1).flatten(2, 3) + skip_BTHP


def one_chunk(
    in_BQGSP: Tensor, a_BQGS: Tensor, b_BQGN: Tensor, c_BQGN: Tensor, state_BGSPN: Tensor
) -> tuple[Tensor, Tensor]:
    """y without the skip, and the state at the end of the chunk; `in` is dt x."""
    sums_BGSQ = a_BQGS.double().cumsum(dim=1).permute(0, 2, 3, 1)
    decay_BGSQQ = segment_decay(sums_BGSQ).to(in_BQGSP.dtype)
    begun_BQGS1 = sums_BGSQ.exp().to(in_BQGSP.dtype).permute(0, 3, 1, 2)[..., None]
    ended_BQGS1 = (sums_BGSQ[..., -1:] - sums_BGSQ).exp().to(in_BQGSP.dtype).permute(0, 3, 1, 2)[..., None]
    scores_BGQQ = torch.einsum("bqgn,bkgn->bgqk", c_BQGN, b_BQGN)
    inside_BQGSP = torch.einsum("bgsqk,bkgsp->bqgsp", scores_BGQQ[:, :, None] * decay_BGSQQ, in_BQGSP)
    across_BQGSP = torch.einsum("bqgn,bgspn->bqgsp", c_BQGN, state_BGSPN) * begun_BQGS1
    added_BGSPN = torch.einsum("bqgsp,bqgn->bgspn", in_BQGSP * ended_BQGS1, b_BQGN)
    after_BGSPN = state_BGSPN * begun_BQGS1[:, -1, :, :, :, None] + added_BGSPN
    return inside_BQGSP + across_BQGSP, after_BGSPN


def segment_decay(sums_BGSQ: Tensor) -> Tensor:
    """exp of the sum of a over s < k <= t for s <= t, zero elsewhere; sums are fp64, so differences lose nothing."""
    length = sums_BGSQ.shape[-1]
    later_QQ = torch.ones(length, length, dtype=torch.bool, device=sums_BGSQ.device).triu(1)
    return (sums_BGSQ[..., :, None] - sums_BGSQ[..., None, :]).float().masked_fill(later_QQ, -torch.inf).exp()
