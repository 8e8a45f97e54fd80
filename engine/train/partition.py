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

from engine.train.optimizer import MOMENTS, AdamWOptimizer

Tensors = dict[str, npt.NDArray[np.float32]]


def gradient_norm(engine: DeepSpeedEngine) -> float:
    """The L2 norm of the whole gradient of this step: each parameter in fp64, then added in the order of the names.

    DeepSpeed's own norm adds by group and rounds otherwise under each ZeRO stage, so that clipping by it would
    make bits depend on the stage.
    """
    total = 0.0
    for parameter in engine.module.parameters():
        gradient: Tensor | None = safe_get_full_grad(parameter)
        assert gradient is not None, "a parameter got no gradient"
        norm = torch.linalg.vector_norm(gradient, dtype=torch.float64).item()
        total += norm * norm
    return math.sqrt(total)


def full_weights(engine: DeepSpeedEngine) -> Tensors:
    """Every parameter by name, in fp32, on every rank."""
    named = engine.module.named_parameters()
    if engine.zero_optimization_stage() == 0:
        return {name: p.detach().numpy() for name, p in named}
    return {name: safe_get_full_fp32_param(p).numpy() for name, p in named}


def full_moments(engine: DeepSpeedEngine, optimizer: AdamWOptimizer) -> dict[str, Tensors]:
    """Both moments of every parameter, in fp32, on every rank."""
    named = dict(engine.module.named_parameters())
    if engine.zero_optimization_stage() == 0:
        pairs = {name: optimizer.moments(p) for name, p in named.items()}
        return {kind: {name: pair[i].numpy() for name, pair in pairs.items()} for i, kind in enumerate(MOMENTS)}
    return {
        kind: {name: safe_get_full_optimizer_state(p, kind).numpy() for name, p in named.items()} for kind in MOMENTS
    }


def load_moments(engine: DeepSpeedEngine, optimizer: AdamWOptimizer, moments: Mapping[str, Tensors]) -> None:
    """Sets both moments of every parameter; before the first step of the engine."""
    for group in optimizer.param_groups:
        for p in group["params"]:
            optimizer.moments(p)
    if engine.zero_optimization_stage() > 0:
        engine.optimizer._lazy_init_hp_params_optimizer_state()  # DeepSpeed links partitions after a first step only
    for name, p in engine.module.named_parameters():
        for i, kind in enumerate(MOMENTS):
            value = torch.from_numpy(np.array(moments[kind][name]))
            if engine.zero_optimization_stage() == 0:
                optimizer.moments(p)[i].copy_(value)
            else:
                safe_set_full_optimizer_state(p, value, kind)
