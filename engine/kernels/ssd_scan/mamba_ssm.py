"""mamba-ssm's fused scan, on a GPU."""

# B batch, T positions, H heads, P head width, G groups of heads that share B and C, N state

from torch import Tensor

from engine.kernels.extra import check_on_gpu, needs
from engine.kernels.record import ran


def ssd_scan(
    x_BTHP: Tensor, dt_BTH: Tensor, a_H: Tensor, b_BTGN: Tensor, c_BTGN: Tensor, d_H: Tensor, chunk: int
) -> Tensor:
    """Returns y_BTHP. ArtifactError when the library is not installed, or the tensors are on no GPU."""
    with needs("mamba-ssm", "mamba", "ssd_scan: mamba_ssm"):
        from mamba_ssm.ops.triton.ssd_combined import mamba_chunk_scan_combined
    check_on_gpu(x_BTHP, "ssd_scan: mamba_ssm")
    ran("ssd_scan", "mamba_ssm", chunk=chunk)
    y_BTHP: Tensor = mamba_chunk_scan_combined(x_BTHP, dt_BTH, a_H, b_BTGN, c_BTGN, chunk, D=d_H)
    return y_BTHP
