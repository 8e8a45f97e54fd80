"""Whole tensors in and out of the layouts that DeepSpeed keeps them in: as they are (ZeRO 0) or in flat partitions.

Every function here is collective: all ranks call it, in the same order.
"""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from deepspeed import DeepSpeedEngine, comm
from deepspeed.utils import (
    safe_get_full_fp32_param,
    safe_get_full_grad,
    safe_get_full_optimizer_state,
    safe_set_full_fp32_param,
    safe_set_full_optimizer_state,
    safe_set_local_fp32_param,
    safe_set_local_optimizer_state,
)
from torch import Tensor, nn

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


def load_weights(engine: DeepSpeedEngine, weights: Tensors) -> None:
    """Sets every parameter of a running engine, and the master copy that the optimizer moves."""
    zero = engine.zero_optimization_stage()
    for name, p in engine.module.model.named_parameters():
        value = torch.from_numpy(np.array(weights[name]))
        match zero:
            case 0:
                p.data.copy_(value)
            case 3:
                safe_set_local_fp32_param(p, own_part(value, p))
            case _:
                safe_set_full_fp32_param(p, value)
    if zero in (1, 2):
        engine.optimizer.update_lp_params()
    if zero == 3:
        for group in range(len(engine.optimizer.fp16_groups)):
            engine.optimizer._reassign_or_swap_out_partitioned_parameters(group)


def load_moments(engine: DeepSpeedEngine, optimizer: StepOptimizer, moments: Mapping[str, Tensors]) -> None:
    """Sets the moments of every parameter; before the first step of the engine."""
    zero = engine.zero_optimization_stage()
    for p in engine.optimizer.fp32_partitioned_groups_flat if zero == 3 else updated(optimizer):
        optimizer.moments(p)
    if zero in (1, 2):
        engine.optimizer._lazy_init_hp_params_optimizer_state()  # DeepSpeed links partitions after a first step only
    for name, p in engine.module.model.named_parameters():
        for i, kind in enumerate(optimizer.moment_names):
            value = torch.from_numpy(np.array(moments[kind][name]))
            match zero:
                case 0:
                    optimizer.moments(p)[i].copy_(value)
                case 3:
                    safe_set_local_optimizer_state(p, own_part(value, p), kind)
                case _:
                    safe_set_full_optimizer_state(p, value, kind)


def updated(optimizer: StepOptimizer) -> list[Tensor]:
    """The parameters, or the partitions of them, that an optimizer moves."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def own_part(value: Tensor, p: nn.Parameter) -> Tensor:
    """What this rank keeps of a whole tensor under ZeRO 3: an equal part of it, the last one padded with zeros."""
    size = vars(p)["ds_tensor"].numel()
    own = value.flatten()[comm.get_rank() * size :][:size]
    return torch.nn.functional.pad(own, (0, size - own.numel()))
