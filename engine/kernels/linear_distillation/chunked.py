"""Distillation by chunks of positions: neither model's logits are ever all held; gradients come with the loss."""

# N positions, C positions of a chunk, R rows of a block in it, D and E widths of student and teacher, V vocabulary

import torch
from torch import Tensor

from engine.kernels.linear_chunks import LinearChunks, exponentials, row_blocks, with_gradients
from engine.kernels.record import ran


@torch.compiler.disable  # type: ignore[untyped-decorator]  # a compiler would give every chunk its own buffers
def linear_distillation(
    x_ND: Tensor,
    head_VD: Tensor,
    scale: float,
    teacher_NE: Tensor,
    teacher_head_VE: Tensor,
    teacher_scale: float,
    tokens: int,
) -> Tensor:
    """Returns a scalar in fp32; `tokens` positions a chunk. The teacher gets no gradient."""
    ran("linear_distillation", "chunked", tokens=tokens)
    student = LinearChunks(x_ND, head_VD, tokens, learns=True)
    teacher = LinearChunks(teacher_NE, teacher_head_VE, tokens, learns=False)
    with torch.no_grad():
        losses_N = torch.empty(len(x_ND), dtype=torch.float64, device=x_ND.device)
        for at in student.positions():
            logits_CV, soft_CV = student.logits(at), teacher.logits(at)
            for rows in row_blocks(len(logits_CV)):
                p_RV = probabilities(soft_CV[rows].float(), teacher_scale)
                losses_N[at][rows] = loss_and_gradient(logits_CV[rows], p_RV, scale, student.learns)
            if student.learns:
                student.add(at, logits_CV, scale / len(x_ND))
        loss = losses_N.mean().float()
    return with_gradients(x_ND, head_VD, loss, student)


def probabilities(z_RV: Tensor, scale: float) -> Tensor:
    """softmax(scale * z), in place."""
    p_RV = exponentials(z_RV, scale).exp_()
    return p_RV.mul_(p_RV.sum(dim=-1, keepdim=True).reciprocal_())


def loss_and_gradient(logits_RV: Tensor, p_RV: Tensor, scale: float, learns: bool) -> Tensor:
    """losses_R; overwrites the logits by softmax less p, the gradient of scale * logits."""
    z_RV = exponentials(logits_RV.float(), scale)
    own_R = (p_RV * z_RV).sum(dim=-1)
    sum_R = z_RV.exp_().sum(dim=-1)
    if learns:
        z_RV.mul_(sum_R.reciprocal()[:, None]).sub_(p_RV)
        if logits_RV.dtype != torch.float32:
            logits_RV.copy_(z_RV)
    return sum_R.log() - own_R
