"""Soft-target cross-entropy of a linear head against a teacher's distribution, averaged over positions.

FBI-LLM's autoregressive distillation (arXiv 2407.07093): -(1/n) sum_t sum_v p_teacher(v) log p_student(v) at
temperature 1. It equals KL(teacher || student) plus the teacher's entropy, which is its floor.
"""

from typing import assert_never

from torch import Tensor

from engine.kernels.linear_distillation import chunked, liger, reference
from engine.kernels.linear_distillation.check import check
from engine.kernels.spec import ChunkedLoss, DistillationBackend, LigerDistillation, ReferenceLoss


def linear_distillation(
    x_ND: Tensor,
    head_VD: Tensor,
    scale: float,
    teacher_NE: Tensor,
    teacher_head_VE: Tensor,
    teacher_scale: float,
    *,
    backend: DistillationBackend,
) -> Tensor:
    """A scalar in nats, fp32. The teacher gets no gradient; its features may have another width E.

    ArtifactError for an empty batch and shapes that do not fit. A NaN in an activation makes the loss NaN.
    """
    check(x_ND, head_VD, teacher_NE, teacher_head_VE)
    match backend:
        case ReferenceLoss():
            return reference.linear_distillation(x_ND, head_VD, scale, teacher_NE, teacher_head_VE, teacher_scale)
        case ChunkedLoss():
            loss: Tensor = chunked.linear_distillation(
                x_ND, head_VD, scale, teacher_NE, teacher_head_VE, teacher_scale, backend.tokens
            )
            return loss
        case LigerDistillation():
            return liger.linear_distillation(
                x_ND, head_VD, scale, teacher_NE, teacher_head_VE, teacher_scale, backend.tokens
            )
        case _:
            assert_never(backend)
