"""Whole tensors in and out of the layouts that DeepSpeed keeps them in: as they are (ZeRO 0) or in flat partitions.

Every function here is collective: all ranks call it, in the same order.
"""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from deepspeed import DeepSpeedEngine
from deepspeed.utils import (
    safe_get_full_fp32_param,
    safe_get_full_grad,
    safe_get_full_optimizer_state,
    safe_set_full_optimizer_state,
)
from torch import Tensor

from engine.train.optimizer import StepOptimizer

Tensors = dict[str, npt.NDArray[np.float32]]


def gradient_norm(engine: DeepSpeedEngine) -> float:
    """The L2 norm of the whole gradient of this step: each parameter in fp64, then added in the order of the names.

    DeepSpeed's own norm adds by group and rounds otherwise under each ZeRO stage, so that clipping by it would
    make bits depend on the stage.
    """
    total = 0.0
    for parameter in engine.module.model.parameters():
        gradient: Tensor | None = safe_get_full_grad(parameter)
        assert gradient is not None, "a parameter got no gradient"
        norm = torch.linalg.vector_norm(gradient, dtype=torch.float64).item()
        total += norm * norm
    return math.sqrt(total)


def full_weights(engine: DeepSpeedEngine) -> Tensors:
    """Every parameter by name, in fp32, on every rank."""
    named = engine.module.model.named_parameters()
    if engine.zero_optimization_stage() == 0:
        return {name: p.detach().numpy() for name, p in named}
    return {name: safe_get_full_fp32_param(p).numpy() for name, p in named}


def full_moments(engine: DeepSpeedEngine, optimizer: StepOptimizer) -> dict[str, Tensors]:
    """The moments of every parameter, in fp32, on every rank."""
    kinds = optimizer.moment_names
    named = dict(engine.module.model.named_parameters())
    if engine.zero_optimization_stage() == 0:
        found = {name: optimizer.moments(p) for name, p in named.items()}
        return {kind: {name: own[i].numpy() for name, own in found.items()} for i, kind in enumerate(kinds)}
    return {kind: {name: safe_get_full_optimizer_state(p, kind).numpy() for name, p in named.items()} for kind in kinds}


def load_moments(engine: DeepSpeedEngine, optimizer: StepOptimizer, moments: Mapping[str, Tensors]) -> None:
    """Sets the moments of every parameter; before the first step of the engine."""
    for group in optimizer.param_groups:
        for p in group["params"]:
            optimizer.moments(p)
    if engine.zero_optimization_stage() > 0:
        engine.optimizer._lazy_init_hp_params_optimizer_state()  # DeepSpeed links partitions after a first step only
    for name, p in engine.module.model.named_parameters():
        for i, kind in enumerate(optimizer.moment_names):
            value = torch.from_numpy(np.array(moments[kind][name]))
            if engine.zero_optimization_stage() == 0:
                optimizer.moments(p)[i].copy_(value)
            else:
                safe_set_full_optimizer_state(p, value, kind)
