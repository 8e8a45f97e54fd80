"""The DeepSpeed JSON of a training stage, and a closed list that catches what DeepSpeed would let pass.

DeepSpeed ignores a misspelt top-level key and takes a text for a number. The lists below are those of DeepSpeed
0.19.8; a test derives them again from the installed DeepSpeed. Nothing here imports it, since it imports torch.
"""

import math
from typing import Literal, assert_never

from pydantic import JsonValue

from engine.spec.layout import Layout
from engine.spec.nearest import did_you_mean
from engine.train.spec import Batch

PERSISTENT_ELEMENTS = 0  # parameters up to this size that ZeRO 3 leaves whole on every rank: none
PREFETCH_ELEMENTS = 5 * 10**7  # and the three below: DeepSpeed's own defaults, written out
LIVE_PARAMETERS = 10**9
REUSE_DISTANCE = 10**9
SUB_GROUP_ELEMENTS = 10**9
NEVER_STEPS = 10**9  # DeepSpeed prints nothing: the step log is ours

Kind = Literal["bool", "count", "integer", "number", "text", "list", "block"]


def deepspeed_config(batch: Batch, layout: Layout) -> dict[str, JsonValue]:
    """The whole configuration: fp32, our optimizer and schedule, every setting that groups sums written out.

    DeepSpeed wants the same number of micro-batches on every rank. Where the ranks do not divide them, as `regroup`
    permits, its batch size counts the idle places too.
    """
    passes = -(-batch.rows // (batch.micro_rows * layout.world))
    return {
        "train_batch_size": batch.micro_rows * passes * layout.world,
        "train_micro_batch_size_per_gpu": batch.micro_rows,
        "gradient_accumulation_steps": passes,
        "gradient_clipping": 0.0,  # the loop clips by its own norm: DeepSpeed's rounds otherwise under each ZeRO stage
        "gradient_allreduce_op": "mean",
        "gradient_predivide_factor": 1.0,
        "prescale_gradients": False,
        "communication_data_type": "fp32",
        "data_types": {"grad_accum_dtype": "fp32"},
        "bf16": {"enabled": False},
        "fp16": {"enabled": False},
        "zero_allow_untested_optimizer": True,  # the optimizer is the engine's own
        "zero_force_ds_cpu_optimizer": False,  # DeepSpeed's CPU Adam gives other bits on every vector width
        "zero_optimization": _zero(layout),
        "disable_allgather": False,
        "steps_per_print": NEVER_STEPS,
        "wall_clock_breakdown": False,
        "memory_breakdown": False,
        "dump_state": False,
    }


def _zero(layout: Layout) -> dict[str, JsonValue]:
    return {
        **_zero_only(layout),
        "stage": layout.zero,
        "contiguous_gradients": True,
        "overlap_comm": False,
        "reduce_scatter": True,
        "reduce_bucket_size": layout.bucket_elements,
        "use_multi_rank_bucket_allreduce": True,
        "allgather_partitions": True,
        "allgather_bucket_size": layout.bucket_elements,
        "round_robin_gradients": False,
    }


def _zero_only(layout: Layout) -> dict[str, JsonValue]:
    """What DeepSpeed takes under some stages alone."""
    match layout.zero:
        case 0:
            return {}
        case 1 | 2:
            return {"compute_grad_norm": False}
        case 3:
            return {
                "memory_efficient_linear": False,  # it multiplies in another way, and so rounds otherwise
                "stage3_param_persistence_threshold": PERSISTENT_ELEMENTS,
                "stage3_prefetch_bucket_size": PREFETCH_ELEMENTS,
                "stage3_max_live_parameters": LIVE_PARAMETERS,
                "stage3_max_reuse_distance": REUSE_DISTANCE,
                "sub_group_size": SUB_GROUP_ELEMENTS,
            }
        case _:
            assert_never(layout.zero)


def check_config(config: dict[str, JsonValue]) -> list[str]:
    """Every key that DeepSpeed does not know and every value of the wrong type, in the order of the configuration."""
    found = _check_block("", config, TOP)
    for name, fields in BLOCKS.items():
        block = config.get(name)
        if isinstance(block, dict):
            found += _check_block(f"{name}.", block, fields)
    return found


def _check_block(prefix: str, block: dict[str, JsonValue], fields: dict[str, Kind]) -> list[str]:
    found = []
    for key, value in block.items():
        kind = fields.get(key)
        if kind is None:
            found.append(f"{prefix}{key}: DeepSpeed has no such key{did_you_mean(key, fields)}")
        elif not _is(kind, value):
            found.append(f"{prefix}{key}: {value!r} is no {kind}")
    return found


def _is(kind: Kind, value: JsonValue) -> bool:
    match kind:
        case "bool":
            return isinstance(value, bool)
        case "count":
            return isinstance(value, int) and not isinstance(value, bool) and value >= 1
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        case "text":
            return isinstance(value, str)
        case "list":
            return isinstance(value, list)
        case "block":
            return isinstance(value, dict)
        case _:
            assert_never(kind)


TOP: dict[str, Kind] = {
    "train_batch_size": "count",
    "train_micro_batch_size_per_gpu": "count",
    "gradient_accumulation_steps": "count",
    "managed_gradient_accumulation": "bool",
    "gradient_clipping": "number",
    "gradient_allreduce_op": "text",
    "gradient_predivide_factor": "number",
    "prescale_gradients": "bool",
    "communication_data_type": "text",
    "seq_parallel_communication_data_type": "text",
    "data_types": "block",
    "bf16": "block",
    "bfloat16": "block",
    "fp16": "block",
    "torch_autocast": "block",
    "optimizer": "block",
    "scheduler": "block",
    "zero_allow_untested_optimizer": "bool",
    "zero_force_ds_cpu_optimizer": "bool",
    "zero_optimization": "block",
    "disable_allgather": "bool",
    "activation_checkpointing": "block",
    "aio": "block",
    "autotuning": "block",
    "checkpoint": "block",
    "comms_logger": "block",
    "compile": "block",
    "data_efficiency": "block",
    "dataloader_drop_last": "bool",
    "datastates_ckpt": "block",
    "disable_python_gc": "bool",
    "dump_state": "bool",
    "expert_parallel": "block",
    "flops_profiler": "block",
    "hybrid_engine": "block",
    "log_level": "text",
    "memory_breakdown": "bool",
    "pipeline": "block",
    "sequence_parallel_size": "count",
    "data_parallel_size": "count",
    "steps_per_print": "count",
    "tensor_parallel": "block",
    "comet": "block",
    "csv_monitor": "block",
    "tensorboard": "block",
    "wandb": "block",
    "timers": "block",
    "use_data_before_expert_parallelism": "bool",
    "vocabulary_size": "count",
    "wall_clock_breakdown": "bool",
    "weight_quantization": "block",
}
"""Every top-level key that DeepSpeed reads; those of features that it removed are no part of it."""

BLOCKS: dict[str, dict[str, Kind]] = {
    "data_types": {
        "grad_accum_dtype": "text",
        "param_dtype": "text",
        "buffer_dtype": "text",
        "keep_in_fp32_modules": "list",
    },
    "bf16": {
        "enabled": "bool",
        "immediate_grad_update": "bool",
        "check_grad_overflow": "bool",
        "bf16_master_weights_and_grads": "bool",
        "bf16_optimizer_states": "bool",
    },
    "fp16": {
        "enabled": "bool",
        "auto_cast": "bool",
        "loss_scale": "number",
        "initial_scale_power": "integer",
        "loss_scale_window": "integer",
        "hysteresis": "integer",
        "consecutive_hysteresis": "bool",
        "min_loss_scale": "integer",
        "fp16_master_weights_and_grads": "bool",
    },
    "zero_optimization": {
        "stage": "integer",
        "contiguous_gradients": "bool",
        "reduce_scatter": "bool",
        "reduce_bucket_size": "integer",
        "use_multi_rank_bucket_allreduce": "bool",
        "allgather_partitions": "bool",
        "allgather_bucket_size": "integer",
        "overlap_comm": "bool",
        "compute_grad_norm": "bool",
        "load_from_fp32_weights": "bool",
        "elastic_checkpoint": "bool",
        "offload_param": "block",
        "offload_optimizer": "block",
        "zenflow": "block",
        "sub_group_size": "integer",
        "stage3_prefetch_bucket_size": "integer",
        "stage3_param_persistence_threshold": "integer",
        "stage3_model_persistence_threshold": "integer",
        "stage3_max_live_parameters": "integer",
        "stage3_max_reuse_distance": "integer",
        "stage3_gather_16bit_weights_on_model_save": "bool",
        "stage3_module_granularity_threshold": "integer",
        "stage3_use_all_reduce_for_fetch_params": "bool",
        "stage3_allgather_sequential": "bool",
        "ignore_unused_parameters": "bool",
        "legacy_stage1": "bool",
        "round_robin_gradients": "bool",
        "parameter_alignment": "bool",
        "zero_hpz_partition_size": "integer",
        "zero_quantized_weights": "bool",
        "zero_quantized_nontrainable_weights": "bool",
        "zero_quantized_gradients": "bool",
        "memory_efficient_linear": "bool",
        "pipeline_loading_checkpoint": "bool",
        "override_module_apply": "bool",
        "log_trace_cache_warnings": "bool",
        "enable_sanity_checks": "bool",
        "save_muon_momentum_buffer_in_memory": "bool",
        "leaf_module": "block",
    },
}
"""The fields of the sub-blocks, without those that DeepSpeed calls deprecated."""
