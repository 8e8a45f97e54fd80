"""Distillation by liger-kernel, on a GPU: its fused divergence of teacher and student, plus the teacher's entropy.

The library knows no soft-target cross-entropy of features, but KL(teacher || student), which has the same gradients
and lies below it by the entropy of the teacher. That is added up here, by chunks, for one more product of the teacher.
"""

# N positions, D and E widths of student and teacher, V vocabulary

import torch
from torch import Tensor

from engine.kernels.extra import check_on_gpu, needs
from engine.kernels.linear_chunks import LinearChunks, exponentials, row_blocks
from engine.kernels.record import ran

BACKEND = "linear_distillation: liger"
IMPLEMENTATION = "nvidia-triton"
"""Of several in the library, which otherwise takes what it finds installed."""
KL_OF_TEACHER = 0.0
"""The weight of the library's mixed divergence at which it is KL(teacher || student)."""


def linear_distillation(
    x_ND: Tensor, head_VD: Tensor, scale: float, teacher_NE: Tensor, teacher_head_VE: Tensor, teacher_scale: float,
    tokens: int,
) -> Tensor:  # fmt: skip
    """Returns a scalar in fp32; entropies `tokens` positions at a time. ArtifactError without the library or a GPU."""
    with needs("liger-kernel", "gpu", BACKEND):
        import liger_kernel.ops  # noqa: F401
    check_on_gpu(x_ND, BACKEND)
    return by_liger(x_ND, head_VD, scale, teacher_NE, teacher_head_VE, teacher_scale, tokens)


def by_liger(
    x_ND: Tensor, head_VD: Tensor, scale: float, teacher_NE: Tensor, teacher_head_VE: Tensor, teacher_scale: float,
    tokens: int,
) -> Tensor:  # fmt: skip
    """The calls themselves, which Triton's interpreter can run on a CPU; features carry the scales."""
    from liger_kernel.ops import LigerFusedLinearJSDFunction

    ran("linear_distillation", "liger", tokens=tokens)
    scaled_ND = x_ND if scale == 1.0 else x_ND * scale
    soft_NE = (teacher_NE if teacher_scale == 1.0 else teacher_NE * teacher_scale).detach()
    nothing_ignored, temperature = -(2**31), 1.0
    divergence: Tensor = LigerFusedLinearJSDFunction.apply(
        scaled_ND, head_VD, soft_NE, teacher_head_VE.detach(),
        None, KL_OF_TEACHER, nothing_ignored, temperature, torch.float32, IMPLEMENTATION,
    )  # fmt: skip
    return divergence.float() + entropy(soft_NE, teacher_head_VE, tokens)


@torch.no_grad()
def entropy(soft_NE: Tensor, teacher_head_VE: Tensor, tokens: int) -> Tensor:
    """The mean entropy of the teacher's distributions, in nats; a scalar in fp32; `tokens` positions at a time."""
    chunks = LinearChunks(soft_NE, teacher_head_VE, tokens, learns=False)
    found_N = torch.empty(len(soft_NE), dtype=torch.float64, device=soft_NE.device)
    for at in chunks.positions():
        logits_CV = chunks.logits(at)
        for rows in row_blocks(len(logits_CV)):
            z_RV = exponentials(logits_CV[rows].float(), 1.0)
            e_RV = z_RV.exp()
            sum_R = e_RV.sum(dim=-1)
            found_N[at][rows] = sum_R.log() - (e_RV * z_RV).sum(dim=-1) / sum_R
    return found_N.mean().float()
