"""What each op is, written out in fp64 from its paper; the reference backends are held against these too."""

# B batch, T positions, S key positions, H heads, K head width, D width, V vocabulary, N positions of a batch, J = K / 2

import math

import torch
from torch import Tensor


def rms_norm(x_ND: Tensor, weight_D: Tensor, eps: float) -> Tensor:
    return x_ND / (x_ND.square().mean(-1, keepdim=True) + eps).sqrt() * weight_D


def layer_norm(x_ND: Tensor, weight_D: Tensor, bias_D: Tensor, eps: float) -> Tensor:
    centred_ND = x_ND - x_ND.mean(-1, keepdim=True)
    return rms_norm(centred_ND, weight_D, eps) + bias_D


def rotate(x_BHTK: Tensor, cos_TJ: Tensor, sin_TJ: Tensor) -> Tensor:
    """Channel j and channel j + J are one complex number, which is turned."""
    half = x_BHTK.shape[-1] // 2
    turned = torch.complex(x_BHTK[..., :half], x_BHTK[..., half:]) * torch.complex(cos_TJ, sin_TJ)
    return torch.cat((turned.real, turned.imag), dim=-1)


def gated(gate: Tensor, up: Tensor) -> Tensor:
    return gate / (1.0 + torch.exp(-gate)) * up


def attention(q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, scale: float) -> Tensor:
    """Position by position, over the keys up to it; every query head has its key head."""
    rows = []
    for t in range(q_BHTK.shape[-2]):
        scores_BHS = torch.einsum("bhk,bhsk->bhs", q_BHTK[:, :, t], k_BHSK[:, :, : t + 1]) * scale
        rows.append(torch.einsum("bhs,bhsk->bhk", scores_BHS.softmax(-1), v_BHSK[:, :, : t + 1]))
    return torch.stack(rows, dim=2)


def adamw(
    p: Tensor, g: Tensor, m: Tensor, v: Tensor, *, step: int, lr: float, b1: float, b2: float, eps: float, decay: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The new parameter and both moments."""
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
    size = (v / (1 - b2**step)).sqrt() + eps
    return p * (1 - lr * decay) - lr * (m / (1 - b1**step)) / size, m, v


def cross_entropy(x_ND: Tensor, head_VD: Tensor, targets_N: Tensor, scale: float) -> Tensor:
    logits_NV = scale * x_ND @ head_VD.T
    own_N = logits_NV.gather(1, targets_N[:, None])[:, 0]
    return (logits_NV.logsumexp(-1) - own_N).sum() / len(targets_N)


def distillation(
    x_ND: Tensor, head_VD: Tensor, scale: float, teacher_NE: Tensor, teacher_head_VE: Tensor, teacher_scale: float
) -> Tensor:
    p_NV = (teacher_scale * teacher_NE @ teacher_head_VE.T).softmax(-1)
    logits_NV = scale * x_ND @ head_VD.T
    return (p_NV * (logits_NV.logsumexp(-1, keepdim=True) - logits_NV)).sum() / len(x_ND)


def default_scale(head_width: int) -> float:
    return 1.0 / math.sqrt(head_width)
