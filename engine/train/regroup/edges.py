"""Gradients that meet at an input of a module are added inside it first, in every layout.

ZeRO 3 puts nodes of its own round each module, and so groups the sums of gradients by module; the other stages would
add them in another order, and round otherwise. An alias of every input groups them alike everywhere.
"""

from typing import Any

from torch import Tensor, nn


def group_by_module(model: nn.Module) -> None:
    """Makes every module of a model read its inputs through an alias."""
    for module in model.modules():
        module.register_forward_pre_hook(_alias)


def _alias(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(x.view_as(x) if isinstance(x, Tensor) and x.requires_grad else x for x in inputs)
