"""The state space scan of Mamba-2 (Dao and Gu 2024, "Transformers are SSMs"), and its step for decoding.

For each head: S_t = exp(dt_t A) S_{t-1} + dt_t x_t (outer) B_t;  y_t = S_t C_t + D x_t, with S_t of shape [P, N].
"""

# B batch, T positions, H heads, P head width, G groups of heads that share B and C, N state

from typing import assert_never

from torch import Tensor

from engine.kernels.spec import ChunkedScan, MambaSsmScan, NativeScan, RecurrentScan, ScanBackend
from engine.kernels.ssd_scan import chunked, mamba_ssm, reference
from engine.kernels.ssd_scan.check import check
from engine.kernels.ssd_scan.native import kernel as native


def ssd_scan(
    x_BTHP: Tensor,
    dt_BTH: Tensor,
    a_H: Tensor,
    b_BTGN: Tensor,
    c_BTGN: Tensor,
    d_H: Tensor,
    *,
    backend: ScanBackend,
) -> Tensor:
    """y_BTHP from a zero state. dt is positive (after softplus and clamp), a is negative.

    ArtifactError for shapes that do not fit and for an empty batch. What is not finite at t makes y NaN or infinite
    from t on; where the backend is chunked, maybe from the first position of the chunk of t on, never before it.
    """
    check(x_BTHP, dt_BTH, a_H, b_BTGN, c_BTGN, d_H)
    match backend:
        case RecurrentScan():
            return reference.ssd_scan(x_BTHP, dt_BTH, a_H, b_BTGN, c_BTGN, d_H)
        case ChunkedScan():
            return chunked.ssd_scan(x_BTHP, dt_BTH, a_H, b_BTGN, c_BTGN, d_H, backend.chunk)
        case NativeScan():
            return native.ssd_scan(x_BTHP, dt_BTH, a_H, b_BTGN, c_BTGN, d_H, backend.chunk)
        case MambaSsmScan():
            return mamba_ssm.ssd_scan(x_BTHP, dt_BTH, a_H, b_BTGN, c_BTGN, d_H, backend.chunk)
        case _:
            assert_never(backend)
