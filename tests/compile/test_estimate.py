"""Closed-form estimates: exact parameter counts against published ones and the module, products by hand."""

from typing import Literal

import pytest
import torch

from engine.compile.deepspeed import deepspeed_config
from engine.compile.estimate import (
    checkpoint_bytes,
    estimate,
    forward_flops_per_row,
    parameters,
    train_flops_per_row,
    train_memory,
)
from engine.data.spec import Split
from engine.kernels.spec import Kernels
from engine.models.llama import LlamaDecoder
from engine.models.spec import Llama
from engine.spec.numerics import Numerics
from engine.train.spec import FromCheckpoint, TrainPlan
from tests.compile.test_deepspeed import train

K2_65B = Llama(
    kind="llama",
    vocabulary=32032,
    layers=80,
    width=8192,
    heads=64,
    kv_heads=64,
    mlp=22016,
    context=2048,
    tied=False,
)
SMALL = K2_65B.replace(vocabulary=384, layers=3, width=48, heads=6, kv_heads=2, mlp=80)


def plan(world: int = 1, zero: Literal[0, 1, 2] = 0) -> TrainPlan:
    stage = train(world, zero)
    return TrainPlan(
        **{name: stage.__dict__[name] for name in type(stage).model_fields},
        determinism="repeat",
        numerics=Numerics(),
        row_tokens=64,
        micro_batches=2 * world,
        tokens_per_step=stage.batch.rows * 64,
        parameters=parameters(stage.model),
        deepspeed=deepspeed_config(stage, 2 * world),
    )


def test_the_published_count_of_k2_65b() -> None:
    assert parameters(K2_65B) == 65_286_184_960


@pytest.mark.parametrize("model", [K2_65B, SMALL, SMALL.replace(tied=True)], ids=["k2", "grouped", "tied"])
def test_the_count_is_that_of_the_module(model: Llama) -> None:
    with torch.device("meta"):
        module = LlamaDecoder(model, Kernels())
    assert parameters(model) == sum(weight.numel() for weight in module.parameters())


def test_products_of_a_row() -> None:
    # 3 blocks; 5 tokens see 15 pairs under the causal mask; the output projection is counted, the embedding is not.
    block = 2 * 48 * 48 + 2 * 48 * 16 + 3 * 48 * 80
    assert forward_flops_per_row(SMALL, 5) == 2 * (5 * (3 * block + 384 * 48) + 3 * 2 * 48 * 15)
    assert train_flops_per_row(SMALL, 5) == 3 * forward_flops_per_row(SMALL, 5)


def test_six_times_parameters_is_near_the_exact_count_for_a_large_model() -> None:
    exact = train_flops_per_row(K2_65B, 2048) / 2048
    assert exact == pytest.approx(6 * parameters(K2_65B), rel=0.04)


def test_a_training_run() -> None:
    found = estimate(plan(), flops_per_second=1e9)
    assert found.tokens == 10 * 8 * 64
    assert found.flops == 10 * 8 * train_flops_per_row(plan().model, 64)
    assert found.flops_6nd == 6 * found.parameters * found.tokens
    assert found.seconds == found.flops / 1e9
    assert found.artifact_bytes > 3 * checkpoint_bytes(plan().model)


def test_a_resumed_run_counts_its_own_steps_only() -> None:
    resumed = plan().replace(start=FromCheckpoint.model_validate({"kind": "checkpoint", "checkpoint": "a@step-5"}))
    assert estimate(resumed).flops * 2 == estimate(plan()).flops


def test_zero_shares_out_the_optimizer_then_the_gradients() -> None:
    alone, one, two = train_memory(plan(4, 0)), train_memory(plan(4, 1)), train_memory(plan(4, 2))
    assert one.optimizer < alone.optimizer == 2 * alone.weights
    assert one.gradients == alone.gradients == 4 * two.gradients
    assert two.total_bytes() < one.total_bytes()


def test_a_stage_without_products_costs_none() -> None:
    split = Split.model_validate_json('{"kind":"split","documents":"a@b","by":"group","heldout":0.1,"seed":1}')
    found = estimate(split)
    assert (found.flops, found.memory_bytes, found.seconds) == (0, 0, 0.0)
