"""LLaMA and Mamba-2 with 1-bit matrices inside blocks, for transformers: alpha * sign(W) + beta (FBI-LLM, Bi-Mamba).

Load its folder with AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True). This file needs torch and
transformers alone. It multiplies the dense matrix, which it makes again in every call; it is not a fast way to run.
"""

# I inputs, O outputs, S entries of a scale: I, O or 1

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, Mamba2Config, Mamba2ForCausalLM

DENSE_NAME = "_proj"


class BinaryLinear(nn.Module):
    """y = x weight^T, where `weight` is alpha * sign(latent) + beta; code that asks for the weight gets just that."""

    def __init__(self, inputs: int, outputs: int, how: dict[str, Any]) -> None:
        super().__init__()
        entries = {"input": inputs, "output": outputs, "tensor": 1}[how["scale"]]
        self.in_features, self.out_features, self.how = inputs, outputs, how
        self.latent = nn.Parameter(torch.empty(outputs, inputs))
        self.alpha = nn.Parameter(torch.empty(entries))
        self.beta = nn.Parameter(torch.empty(entries))
        self.bias = None

    @property
    def weight(self) -> Tensor:
        """The matrix that is multiplied [O, I]; its gradient passes the sign as if it were the identity."""
        zero = {"minus_one": -1.0, "plus_one": 1.0, "zero": 0.0}[self.how["zero"]]
        signs_OI = torch.where(self.latent == 0, zero, self.latent.sign())
        through_OI = self.latent - self.latent.detach() + signs_OI  # exact: the first two make a zero
        axis = (-1, 1) if self.how["scale"] == "output" else (-1,)
        return self.alpha.view(axis) * through_OI + self.beta.view(axis)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight)


def binarise(blocks: nn.Module, how: dict[str, Any]) -> None:
    """Puts a BinaryLinear in the place of every projection inside the blocks."""
    for name, module in list(blocks.named_modules()):
        if name.endswith(DENSE_NAME) and isinstance(module, nn.Linear):
            blocks.set_submodule(name, BinaryLinear(module.in_features, module.out_features, how))


class BinaryLlamaConfig(LlamaConfig):
    model_type = "facsimile_binary_llama"
    linear: dict[str, Any] | None = None


class BinaryLlamaForCausalLM(LlamaForCausalLM):
    config_class = BinaryLlamaConfig

    def __init__(self, config: BinaryLlamaConfig) -> None:
        super().__init__(config)
        binarise(self.model.layers, config.linear)


class BinaryMamba2Config(Mamba2Config):
    model_type = "facsimile_binary_mamba2"
    linear: dict[str, Any] | None = None


class BinaryMamba2ForCausalLM(Mamba2ForCausalLM):
    config_class = BinaryMamba2Config

    def __init__(self, config: BinaryMamba2Config) -> None:
        super().__init__(config)
        binarise(self.backbone.layers, config.linear)
