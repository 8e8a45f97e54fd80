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


def attention(q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, scale: float, slopes_H: Tensor) -> Tensor:
    """Position by position, over the keys up to it; every query head has its key head. A slope of 0 is no ALiBi."""
    rows = []
    for t in range(q_BHTK.shape[-2]):
        scores_BHS = torch.einsum("bhk,bhsk->bhs", q_BHTK[:, :, t], k_BHSK[:, :, : t + 1]) * scale
        scores_BHS = scores_BHS - slopes_H[:, None] * (t - torch.arange(t + 1))
        rows.append(torch.einsum("bhs,bhsk->bhk", scores_BHS.softmax(-1), v_BHSK[:, :, : t + 1]))
    return torch.stack(rows, dim=2)


def adamw(
    p: Tensor, g: Tensor, m: Tensor, v: Tensor, *, step: int, lr: float, b1: float, b2: float, eps: float, decay: float,
    gradient_scale: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """The new parameter and both moments."""
    g = gradient_scale * g
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


def ssd_scan(x_BTHP: Tensor, dt_BTH: Tensor, a_H: Tensor, b_BTHN: Tensor, c_BTHN: Tensor, d_H: Tensor) -> Tensor:
    """Every position t hears every s <= t, less what the decay between them took; B and C are given to each head."""
    sums_BHT = (dt_BTH * a_H).cumsum(1).transpose(1, 2)
    later_TS = torch.ones(x_BTHP.shape[1], x_BTHP.shape[1], dtype=torch.bool).triu(1)
    left_BHTS = (sums_BHT[..., :, None] - sums_BHT[..., None, :]).masked_fill(later_TS, -torch.inf).exp()
    heard_BHTS = torch.einsum("bthn,bshn->bhts", c_BTHN, b_BTHN) * left_BHTS
    return torch.einsum("bhts,bsh,bshp->bthp", heard_BHTS, dt_BTH, x_BTHP) + d_H[:, None] * x_BTHP


def causal_conv(x_BTC: Tensor, weight_C1K: Tensor, bias_C: Tensor) -> Tensor:
    """Each tap sees the whole row, moved to the right."""
    tokens, seen = x_BTC.shape[1], weight_C1K.shape[-1]
    before = x_BTC.new_zeros(x_BTC.shape[0], seen, x_BTC.shape[2])
    moved = [torch.cat((before, x_BTC), 1)[:, seen - i :][:, :tokens] for i in range(seen)]
    total = bias_C + sum(weight_C1K[:, 0, seen - 1 - i] * moved[i] for i in range(seen))
    return total / (1.0 + torch.exp(-total))


def default_scale(head_width: int) -> float:
    return 1.0 / math.sqrt(head_width)


def binary_linear(
    x_TI: Tensor, weight_OI: Tensor, alpha_S: Tensor, beta_S: Tensor, scale: str, sign_of_zero: float
) -> Tensor:
    """x times alpha * sign(W) + beta, whose gradient passes the sign as if it were the identity."""
    signs_OI = torch.where(weight_OI == 0, sign_of_zero, weight_OI.sign())
    through_OI = weight_OI - weight_OI.detach() + signs_OI
    if scale == "output":
        return x_TI @ (alpha_S[:, None] * through_OI + beta_S[:, None]).T
    return x_TI @ (alpha_S * through_OI + beta_S).T
