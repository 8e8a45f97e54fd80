"""The Triton programs of norms: all arithmetic in fp32, one row at a time, no atomics."""

# N rows, D width; a name that ends in _ptr is the address of a contiguous tensor

import triton
import triton.language as tl


@triton.jit
def forward(
    x_ptr, weight_ptr, bias_ptr, y_ptr, mean_ptr, scale_ptr, d, eps, CENTRED: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    """One program a row. RMSNorm rounds the normalised row to the dtype of x before the weight multiplies."""
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, BLOCK)
    inside = at < d
    x = tl.load(x_ptr + row * d + at, mask=inside, other=0.0).to(tl.float32)
    mean = 0.0
    if CENTRED:
        mean = tl.sum(x, axis=0) / d
        x = tl.where(inside, x - mean, 0.0)
    scale = 1.0 / tl.sqrt(tl.sum(x * x, axis=0) / d + eps)
    normal = x * scale
    if not CENTRED:
        normal = normal.to(x_ptr.dtype.element_ty).to(tl.float32)
    y = normal * tl.load(weight_ptr + at, mask=inside, other=0.0).to(tl.float32)
    if CENTRED:
        y += tl.load(bias_ptr + at, mask=inside, other=0.0).to(tl.float32)
        tl.store(mean_ptr + row, mean)
    tl.store(scale_ptr + row, scale)
    tl.store(y_ptr + row * d + at, y.to(y_ptr.dtype.element_ty), mask=inside)


@triton.jit
def backward(
    dy_ptr, x_ptr, weight_ptr, mean_ptr, scale_ptr, dx_ptr, dweight_ptr, dbias_ptr, n, d,
    CENTRED: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One program for ROWS rows in order: dx of each, and their part of the gradients of weight and bias.

    With u = weight * dy and v the normalised row, dx = scale * (u - v mean(u v)), less scale * mean(u) if centred.
    """
    program = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, BLOCK)
    inside = at < d
    weight = tl.load(weight_ptr + at, mask=inside, other=0.0).to(tl.float32)
    dweight = tl.zeros((BLOCK,), dtype=tl.float32)
    dbias = tl.zeros((BLOCK,), dtype=tl.float32)
    for i in range(ROWS):
        row = program * ROWS + i
        here = inside & (row < n)
        x = tl.load(x_ptr + row * d + at, mask=here, other=0.0).to(tl.float32)
        dy = tl.load(dy_ptr + row * d + at, mask=here, other=0.0).to(tl.float32)
        scale = tl.load(scale_ptr + row, mask=row < n, other=0.0)
        if CENTRED:
            x = tl.where(here, x - tl.load(mean_ptr + row, mask=row < n, other=0.0), 0.0)
            dbias += dy
        v = x * scale
        u = dy * weight
        dx = u - v * (tl.sum(u * v, axis=0) / d)
        if CENTRED:
            dx -= tl.sum(u, axis=0) / d
        tl.store(dx_ptr + row * d + at, (dx * scale).to(dx_ptr.dtype.element_ty), mask=here)
        if not CENTRED:
            v = v.to(x_ptr.dtype.element_ty).to(tl.float32)
        dweight += dy * v
    tl.store(dweight_ptr + program * d + at, dweight, mask=inside)
    if CENTRED:
        tl.store(dbias_ptr + program * d + at, dbias, mask=inside)


@triton.jit
def add_up(partial_ptr, sum_ptr, p, d, BLOCK: tl.constexpr):
    """One program for BLOCK channels: the sum of p rows in order."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < d
    total = tl.zeros((BLOCK,), dtype=tl.float32)
    for i in range(p):
        total += tl.load(partial_ptr + i * d + at, mask=inside, other=0.0)
    tl.store(sum_ptr + at, total.to(sum_ptr.dtype.element_ty), mask=inside)
