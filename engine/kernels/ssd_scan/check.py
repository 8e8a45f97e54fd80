"""What arguments a scan takes."""

# B batch, T positions, H heads, P head width, G groups of heads that share B and C, N state

from torch import Tensor

from engine.spec.errors import ArtifactError


def check(x_BTHP: Tensor, dt_BTH: Tensor, a_H: Tensor, b_BTGN: Tensor, c_BTGN: Tensor, d_H: Tensor) -> None:
    """ArtifactError with the first tensor that does not fit x; no axis is empty, and G divides H."""
    if x_BTHP.ndim != 4 or b_BTGN.ndim != 4:
        raise ArtifactError(f"{_of(x_BTHP, b_BTGN)} do not fit: [B, T, H, P] and [B, T, G, N] are wanted")
    batch, tokens, heads, _ = x_BTHP.shape
    groups, state = b_BTGN.shape[2:]
    if 0 in (*x_BTHP.shape, groups, state) or heads % groups:
        raise ArtifactError(f"{_of(x_BTHP, b_BTGN)} do not fit: no axis is empty, and groups divide heads")
    shared = (batch, tokens, groups, state)
    wanted = {"dt": (dt_BTH, (batch, tokens, heads)), "A": (a_H, (heads,)), "B": (b_BTGN, shared)}
    for name, (tensor, shape) in {**wanted, "C": (c_BTGN, shared), "D": (d_H, (heads,))}.items():
        if tensor.shape != shape:
            raise ArtifactError(
                f"kernels.ssd_scan: {name} is of shape {tuple(tensor.shape)}; beside x of {tuple(x_BTHP.shape)} and "
                f"{groups} groups of a state of {state}, {shape} is wanted"
            )


def _of(x_BTHP: Tensor, b_BTGN: Tensor) -> str:
    return f"kernels.ssd_scan: x of shape {tuple(x_BTHP.shape)} and B of {tuple(b_BTGN.shape)}"
