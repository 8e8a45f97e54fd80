"""Models whose 1-bit matrices hold one bit a weight: made from weights, written to a folder and read back.

A packed folder has `packed.json`, `{"format": 1, "model": the spec}`, and `model.safetensors`. For each 1-bit matrix
NAME of the engine's module (`layers.0.attention.query`, say) it holds
  NAME.bits   uint8 [outputs, ceil(inputs / 8)]: bit j mod 8 of byte j // 8 of row i is set where sign(W_ij) is plus
  NAME.alpha, NAME.beta   fp32, with an entry for each input, each output or one, as `linear.scale` of the spec says
  NAME.bias   fp32 [outputs], where the model has one
and every other parameter in fp32 under the name that the engine's module has for it. Signs are taken from the fp32
latents by the spec's rule for zero; latents are not kept. A tokenizer, where it is given, lies beside them.
"""

# O outputs, I inputs, S entries of a scale

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engine.data.tokenizers.export import export_tokenizer
from engine.kernels.binary_linear.packed import Activations, Layout, check_bits, layout, pack, packed_linear
from engine.kernels.spec import Kernels, PackedBinary, ScaleAxis
from engine.models.blocks import BinaryLinear
from engine.models.build import build
from engine.models.decoder import Decoder
from engine.models.init import parameter_shapes
from engine.models.spec import FbiLinear, Model
from engine.spec.base import Spec
from engine.spec.canonical import pretty
from engine.spec.errors import ArtifactError

SPEC, TENSORS = "packed.json", "model.safetensors"


class _File(Spec):
    """packed.json."""

    format: Literal[1]
    model: Model


class PackedLinear(nn.Module):
    """What BinaryLinear computes, without latent weights."""

    def __init__(
        self, matrix: Layout, alpha_S: Tensor, beta_S: Tensor, bias_O: Tensor | None, scale: ScaleAxis
    ) -> None:
        super().__init__()
        self.matrix, self.alpha_S, self.beta_S, self.bias_O, self.scale = matrix, alpha_S, beta_S, bias_O, scale

    def forward(self, x: Tensor) -> Tensor:
        y = packed_linear(x, self.matrix, self.alpha_S, self.beta_S, self.scale)
        return y if self.bias_O is None else y.add_(self.bias_O)


def packed_tensors(weights: Mapping[str, npt.NDArray[np.float32]], model: Model) -> dict[str, Tensor]:
    """What a packed folder holds, from a checkpoint's weights; ArtifactError when the model has no 1-bit matrices."""
    how = _one_bit(model)
    found: dict[str, Tensor] = {}
    for name in parameter_shapes(model):
        tensor, stem = torch.from_numpy(np.array(weights[name])), name.removesuffix(".weight")
        if f"{stem}.alpha" not in weights:
            found[name] = tensor
            continue
        try:
            found[f"{stem}.bits"] = pack(tensor, how.zero)
        except ArtifactError as error:
            raise ArtifactError(f"{name}: {error}") from error
    return found


def write_packed(
    weights: Mapping[str, npt.NDArray[np.float32]], model: Model, tokenizer: Path | None, folder: Path
) -> None:
    """Writes a packed folder, with the tokenizer for transformers' AutoTokenizer where it is given."""
    tensors = packed_tensors(weights, model)
    folder.mkdir(parents=True, exist_ok=True)
    if tokenizer:
        export_tokenizer(tokenizer, folder)
    (folder / SPEC).write_text(pretty(_File(format=1, model=model)), encoding="utf-8")
    save_file({name: tensors[name].contiguous() for name in sorted(tensors)}, folder / TENSORS)


def read_packed(folder: Path, kernels: Kernels) -> tuple[Model, Decoder[Any]]:
    """The spec and the module of a packed folder, for inference; `kernels.binary_linear` must be `packed`."""
    model = _read_spec(folder / SPEC)
    try:
        tensors = load_file(folder / TENSORS)
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"{folder / TENSORS} cannot be read: {error}") from error
    return model, packed_model(tensors, model, kernels, str(folder))


def packed_model(tensors: Mapping[str, Tensor], model: Model, kernels: Kernels, origin: str) -> Decoder[Any]:
    """A module whose 1-bit matrices are packed; ArtifactError when a tensor is missing or has another shape."""
    how, backend = _one_bit(model), kernels.binary_linear
    if not isinstance(backend, PackedBinary):
        raise ArtifactError(f"{origin} is packed, and kernels.binary_linear is `{backend.kind}`; declare `packed`")
    module = build(model, kernels)
    left = dict(tensors)
    for name, matrix in _matrices(module).items():
        packed = _take(left, name, matrix, how.scale, backend.activations, origin)
        module.set_submodule(name, packed)
    try:
        module.load_state_dict(left, assign=True)
    except RuntimeError as error:
        raise ArtifactError(f"{origin} holds another model: {error}") from error
    return module.requires_grad_(False)


def _take(
    left: dict[str, Tensor], name: str, matrix: BinaryLinear, scale: ScaleAxis, activations: Activations, origin: str
) -> PackedLinear:
    """One matrix out of the tensors that are left."""
    parts = ["bits", "alpha", "beta", *(["bias"] if matrix.bias is not None else [])]
    missing = [f"{name}.{part}" for part in parts if f"{name}.{part}" not in left]
    if missing:
        raise ArtifactError(f"{origin} holds another model: missing {missing[:3]}")
    bits_OW, alpha_S, beta_S, *bias = (left.pop(f"{name}.{part}") for part in parts)
    outputs, inputs = matrix.weight.shape
    try:
        check_bits(bits_OW, inputs)
    except ArtifactError as error:
        raise ArtifactError(f"{origin}: {name}.bits: {error}") from error
    wanted = {"bits": bits_OW.shape[:1], "alpha": alpha_S.shape, "beta": beta_S.shape}
    told = {"bits": (outputs,), "alpha": tuple(matrix.alpha.shape), "beta": tuple(matrix.beta.shape)}
    for part, shape in wanted.items():
        if tuple(shape) != told[part]:
            raise ArtifactError(f"{origin}: {name}.{part} has shape {tuple(shape)}, the model wants {told[part]}")
    return PackedLinear(layout(bits_OW, inputs, activations), alpha_S, beta_S, bias[0] if bias else None, scale)


def _matrices(module: nn.Module) -> dict[str, BinaryLinear]:
    return {name: each for name, each in module.named_modules() if isinstance(each, BinaryLinear)}


def _one_bit(model: Model) -> FbiLinear:
    if not isinstance(model.linear, FbiLinear):
        raise ArtifactError(f"this {model.kind} model has no 1-bit matrices (its linear is `{model.linear.kind}`)")
    return model.linear


def _read_spec(path: Path) -> Model:
    try:
        return _File.model_validate_json(path.read_text(encoding="utf-8")).model
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read: {error}; a packed folder holds {SPEC} and {TENSORS}") from error
