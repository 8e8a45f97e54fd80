"""The linear head of a loss, chunk by chunk: logits of some positions at a time, and the gradients they send back.

The gradients are complete when the loss is, so no logits are kept for a backward pass. That of the head is added up in
fp32. All logits of a chunk lie in one buffer, which its gradients then overwrite.
"""

# N positions, C positions of one chunk, D width, V vocabulary

from collections.abc import Iterator
from typing import Any, final

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from engine.spec.errors import ArtifactError

ROWS = 16
"""Positions whose logits are passed over together, so that they stay in the cache (2 MiB at a vocabulary of 32000)."""


@final
class LinearChunks:
    """x head^T of `tokens` positions at a time; products in the dtype of the autocast round it, else in that of x."""

    def __init__(self, x_ND: Tensor, head_VD: Tensor, tokens: int, *, learns: bool) -> None:
        kind = product_dtype(x_ND)
        self.tokens = min(tokens, len(x_ND))
        self.x_ND, self.head_VD = x_ND.detach().to(kind), head_VD.detach().to(kind)
        self.buffer_CV = torch.empty(self.tokens, len(head_VD), dtype=kind, device=x_ND.device)
        self.dx_ND = torch.empty_like(x_ND, memory_format=torch.contiguous_format) if _learns(learns, x_ND) else None
        self.dhead_VD = torch.zeros_like(head_VD, dtype=torch.float32) if _learns(learns, head_VD) else None

    @property
    def learns(self) -> bool:
        """Whether a gradient of x or head is asked for."""
        return self.dx_ND is not None or self.dhead_VD is not None

    def positions(self) -> Iterator[slice]:
        """The chunks in order; the last may be shorter."""
        for begin in range(0, len(self.x_ND), self.tokens):
            yield slice(begin, min(begin + self.tokens, len(self.x_ND)))

    def logits(self, at: slice) -> Tensor:
        """logits_CV of a chunk, in the buffer: those of the chunk before are gone."""
        logits_CV = self.buffer_CV[: at.stop - at.start]
        with torch.autocast(logits_CV.device.type, enabled=False):
            return torch.mm(self.x_ND[at], self.head_VD.T, out=logits_CV)

    def add(self, at: slice, dlogits_CV: Tensor, factor: float) -> None:
        """Carries `factor` times the gradient of a chunk's logits on to x and head."""
        with torch.autocast(dlogits_CV.device.type, enabled=False):
            if self.dx_ND is not None:
                self.dx_ND[at] = torch.mm(dlogits_CV, self.head_VD).mul_(factor)
            if self.dhead_VD is None:
                return
            if dlogits_CV.dtype == torch.float32:
                self.dhead_VD.addmm_(dlogits_CV.T, self.x_ND[at], alpha=factor)
            else:
                self.dhead_VD.add_(torch.mm(dlogits_CV.T, self.x_ND[at]), alpha=factor)


def product_dtype(x: Tensor) -> torch.dtype:
    """What F.linear would compute in here."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def row_blocks(tokens: int) -> Iterator[slice]:
    """ROWS positions after another."""
    for begin in range(0, tokens, ROWS):
        yield slice(begin, min(begin + ROWS, tokens))


def exponentials(z_RV: Tensor, scale: float) -> Tensor:
    """Turns logits z in place into scale * z - max of the row; exp of them is at most 1."""
    if scale != 1.0:
        z_RV.mul_(scale)
    return z_RV.sub_(z_RV.amax(dim=-1, keepdim=True))


def with_gradients(x_ND: Tensor, head_VD: Tensor, loss: Tensor, chunks: LinearChunks) -> Tensor:
    """The loss, whose backward pass gives x and head the gradients that the chunks have added up."""
    if not chunks.learns:
        return loss
    attached: Tensor = _Ready.apply(  # type: ignore[no-untyped-call]
        x_ND, head_VD, loss, chunks.dx_ND, chunks.dhead_VD
    )
    return attached


class _Ready(torch.autograd.Function):
    """Gradients that are there before they are asked for; given once, since they are scaled in place."""

    @staticmethod
    def forward(
        ctx: Any, x_ND: Tensor, head_VD: Tensor, loss: Tensor, dx_ND: Tensor | None, dhead_VD: Tensor | None
    ) -> Tensor:
        ctx.kinds, ctx.gradients = (x_ND.dtype, head_VD.dtype), (dx_ND, dhead_VD)
        return loss.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dloss: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.gradients is None:
            raise ArtifactError("the backward pass of a chunked loss ran twice; compute the loss again")
        gradients, ctx.gradients = ctx.gradients, None
        factor = dloss.item()
        scaled = [g if g is None or factor == 1.0 else g.mul_(factor) for g in gradients]
        return *(g if g is None else g.to(kind) for g, kind in zip(scaled, ctx.kinds, strict=True)), None, None, None


def _learns(learns: bool, x: Tensor) -> bool:
    return learns and x.requires_grad and torch.is_grad_enabled()
