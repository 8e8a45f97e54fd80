"""Cross-entropy by chunks of positions: all logits are never held, and gradients are computed with the loss."""

# N positions, C positions of one chunk, R rows of a block within it, D width, V vocabulary

import torch
from torch import Tensor

from engine.kernels.linear_chunks import LinearChunks, exponentials, row_blocks, with_gradients
from engine.kernels.record import ran


@torch.compiler.disable  # type: ignore[untyped-decorator]  # a compiler would give every chunk its own buffers
def linear_cross_entropy(x_ND: Tensor, head_VD: Tensor, targets_N: Tensor, scale: float, tokens: int) -> Tensor:
    """Returns a scalar in fp32; `tokens` positions a chunk."""
    ran("linear_cross_entropy", "chunked", tokens=tokens)
    chunks = LinearChunks(x_ND, head_VD, tokens, learns=True)
    with torch.no_grad():
        losses_N = torch.empty(len(x_ND), dtype=torch.float64, device=x_ND.device)
        for at in chunks.positions():
            logits_CV = chunks.logits(at)
            for rows in row_blocks(len(logits_CV)):
                losses_N[at][rows] = loss_and_gradient(logits_CV[rows], targets_N[at][rows], scale, chunks.learns)
            if chunks.learns:
                chunks.add(at, logits_CV, scale / len(x_ND))
        loss = losses_N.mean().float()
    return with_gradients(x_ND, head_VD, loss, chunks)


def loss_and_gradient(logits_RV: Tensor, targets_R: Tensor, scale: float, learns: bool) -> Tensor:
    """losses_R; overwrites the logits by softmax less one at the target, the gradient of scale * logits."""
    z_RV = exponentials(logits_RV.float(), scale)
    own_R = z_RV.gather(1, targets_R[:, None]).squeeze(1)
    sum_R = z_RV.exp_().sum(dim=-1)
    if learns:
        z_RV.mul_(sum_R.reciprocal()[:, None])
        z_RV[torch.arange(len(z_RV), device=z_RV.device), targets_R] -= 1.0
        if logits_RV.dtype != torch.float32:
            logits_RV.copy_(z_RV)
    return sum_R.log() - own_R
