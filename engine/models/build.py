"""A model spec to a module with weights."""

from collections.abc import Mapping
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from engine.kernels.spec import Kernels
from engine.models.alibi_gpt import AlibiGptDecoder
from engine.models.decoder import Decoder
from engine.models.llama import LlamaDecoder
from engine.models.mamba2 import Mamba2Decoder
from engine.models.spec import AlibiGpt, Llama, Mamba2, Model
from engine.spec.errors import ArtifactError


def build(spec: Model, kernels: Kernels) -> Decoder[Any]:
    """The module of a spec; its weights are unset until `load_weights`."""
    match spec:
        case Llama():
            return LlamaDecoder(spec, kernels)
        case AlibiGpt():
            return AlibiGptDecoder(spec, kernels)
        case Mamba2():
            return Mamba2Decoder(spec, kernels)
        case _:
            assert_never(spec)


def load_weights(model: nn.Module, weights: Mapping[str, npt.NDArray[np.float32]], origin: str) -> None:
    """Copies every weight into its parameter; ArtifactError when names or shapes are not those of the model."""
    parameters = dict(model.named_parameters())
    missing, unknown = sorted(set(parameters) - set(weights)), sorted(set(weights) - set(parameters))
    if missing or unknown:
        raise ArtifactError(f"{origin} holds another model: missing {missing[:3]}, unknown {unknown[:3]}")
    with torch.no_grad():
        for name, parameter in parameters.items():
            if tuple(parameter.shape) != weights[name].shape:
                raise ArtifactError(
                    f"{origin}: {name} has shape {weights[name].shape}, the model wants {tuple(parameter.shape)}"
                )
            parameter.copy_(torch.from_numpy(np.array(weights[name])))
