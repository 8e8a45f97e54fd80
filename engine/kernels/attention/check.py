"""What arguments attention takes."""

# B batch, T positions, H query heads, G key heads, K head width

from torch import Tensor

from engine.spec.errors import ArtifactError


def check(q_BHTK: Tensor, k_BGTK: Tensor, v_BGTK: Tensor, bias_HTT: Tensor | None) -> None:
    """ArtifactError unless q is [B, H, T, K], k and v [B, G, T, K] with G a divisor of H, and a bias [H, T, T]."""
    shapes = f"q {tuple(q_BHTK.shape)}, k {tuple(k_BGTK.shape)}, v {tuple(v_BGTK.shape)}"
    if q_BHTK.ndim != 4 or k_BGTK.ndim != 4 or k_BGTK.shape != v_BGTK.shape:
        raise ArtifactError(f"kernels.attention: {shapes}, where [B, H, T, K] and twice [B, G, T, K] are wanted")
    heads, groups = q_BHTK.shape[1], k_BGTK.shape[1]
    if not groups or heads % groups or k_BGTK.shape != (q_BHTK.shape[0], groups, *q_BHTK.shape[2:]):
        raise ArtifactError(f"kernels.attention: {shapes} do not fit: key heads divide query heads, all else is equal")
    tokens = q_BHTK.shape[2]
    if bias_HTT is not None and bias_HTT.shape != (heads, tokens, tokens):
        raise ArtifactError(
            f"kernels.attention: {shapes} and a bias of {tuple(bias_HTT.shape)}; {(heads, tokens, tokens)} is wanted"
        )
