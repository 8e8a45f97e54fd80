"""Closed-form estimates: exact counts against published ones and the modules, products against torch's counter."""

from typing import Literal

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from engine.compile.estimate import checkpoint_bytes, estimate
from engine.compile.estimate.device import A100
from engine.compile.estimate.memory import (
    Memory,
    decoding_memory,
    loss_values,
    scoring_memory,
    storage_bytes,
    train_memory,
    weight_bytes,
)
from engine.compile.estimate.model import (
    counts,
    forward_flops_per_row,
    kept_values,
    parameters,
    products,
    state_values,
    train_flops_per_row,
)
from engine.data.spec import Split
from engine.kernels.spec import ChunkedLoss, ChunkedScan, Kernels, PackedBinary, RecurrentScan
from engine.models.build import build
from engine.models.spec import Alibi, AlibiGpt, Dense, FbiLinear, Llama, Mamba2, Model, PartialRotary
from engine.spec.numerics import Numerics
from engine.train.objectives.next_token import next_token
from engine.train.spec import FromCheckpoint, TrainPlan
from tests.compile.test_deepspeed import config, train

FBI = FbiLinear(kind="fbi")
REFERENCE = Kernels(attention="reference", ssd_scan=RecurrentScan(kind="reference"))


def llama(vocabulary: int, layers: int, width: int, heads: int, kv_heads: int, mlp: int, tied: bool = False) -> Llama:
    sizes = {"vocabulary": vocabulary, "layers": layers, "width": width, "heads": heads, "kv_heads": kv_heads}
    return Llama.model_validate({"kind": "llama", **sizes, "mlp": mlp, "context": 2048, "tied": tied})


def mamba2(vocabulary: int, layers: int, width: int) -> Mamba2:
    return Mamba2(kind="mamba2", vocabulary=vocabulary, layers=layers, width=width, context=2048, tied=True)


K2_65B = llama(32032, 80, 8192, 64, 64, 22016)
FBI_130M = llama(32000, 12, 768, 12, 12, 2048).replace(linear=FBI)
FBI_1_3B = llama(32000, 24, 2048, 32, 32, 5632).replace(linear=FBI)
FBI_7B = llama(32000, 32, 4096, 32, 32, 11008).replace(linear=FBI)
SLIMPAJAMA_DC = AlibiGpt(
    kind="alibi_gpt",
    vocabulary=50277,
    layers=24,
    width=2048,
    heads=16,
    mlp=5461,
    context=2048,
    position=Alibi(kind="alibi"),
)
CRYSTAL = SLIMPAJAMA_DC.replace(
    vocabulary=32032,
    layers=32,
    width=4096,
    heads=32,
    mlp=10922,
    position=PartialRotary(kind="partial_rotary", channels=32),
)
BI_MAMBA = {
    "780M": mamba2(32000, 48, 1536).replace(linear=FBI),
    "1.3B": mamba2(32000, 48, 2048).replace(linear=FBI),
    "2.7B": mamba2(32000, 64, 2560).replace(linear=FBI),
}
PUBLISHED: dict[str, tuple[Model, int]] = {
    "K2-65B": (K2_65B, 65_286_184_960),
    "FBI-LLM 130M": (FBI_130M, 134_105_856),
    "FBI-LLM 1.3B": (FBI_1_3B, 1_364_297_728),
    "FBI-LLM 7B": (FBI_7B, 6_738_415_616),
    "SlimPajama-DC 1.3B": (SLIMPAJAMA_DC, 1_311_586_288),
}
SMALL = llama(384, 3, 48, 6, 2, 80)
SMALL_ALIBI = SLIMPAJAMA_DC.replace(vocabulary=384, layers=3, width=48, heads=6, mlp=81)
SMALL_MAMBA = mamba2(384, 3, 48).replace(head_width=16, state=24, groups=2)
MODELS: dict[str, Model] = {
    **{name: model for name, (model, _) in PUBLISHED.items()},
    **{f"Bi-Mamba {size}": model for size, model in BI_MAMBA.items()},
    "Crystal-7B": CRYSTAL,
    "LLaMA-2-70B": llama(32000, 80, 8192, 64, 8, 28672),
    "grouped": SMALL,
    "tied": SMALL.replace(tied=True),
    "outputs": SMALL.replace(linear=FbiLinear(kind="fbi", scale="output")),
    "one scale": SMALL_ALIBI.replace(linear=FbiLinear(kind="fbi", scale="tensor")),
    "untied": SMALL_MAMBA.replace(tied=False),
}
SMALLS: dict[str, Model] = {"llama": SMALL, "alibi_gpt": SMALL_ALIBI, "mamba2": SMALL_MAMBA}


def plan(world: int = 1, zero: Literal[0, 1, 2, 3] = 0) -> TrainPlan:
    stage = train(world, zero)
    return TrainPlan(
        **stage.__dict__,
        determinism="repeat",
        numerics=Numerics(),
        row_tokens=64,
        micro_batches=2 * world,
        tokens_per_step=stage.batch.rows * 64,
        parameters=parameters(stage.model),
        deepspeed=config(stage),
    )


def memory_of(stage: TrainPlan) -> Memory:
    """Of a rank, in the stage's own layout."""
    assert stage.layout is not None
    return train_memory(stage, stage.layout)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_counts(name: str) -> None:
    model, count = PUBLISHED[name]
    assert counts(model).published == count


@pytest.mark.parametrize("name", MODELS)
def test_the_count_is_that_of_the_module(name: str) -> None:
    with torch.device("meta"):
        module = build(MODELS[name], Kernels())
    assert parameters(MODELS[name]) == sum(weight.numel() for weight in module.parameters())


def test_the_census_of_fbi_llm() -> None:
    found = [counts(model) for model in (FBI_130M, FBI_1_3B, FBI_7B)]
    assert [one.matrices for one in found] == [84_934_656, 1_233_125_376, 6_476_005_376]
    assert [one.scales for one in found] == [159_744, 860_160, 2_277_376]
    assert [one.vectors for one in found] == [19_200, 100_352, 266_240]
    assert [one.embedding + one.head for one in found] == [49_152_000, 131_072_000, 262_144_000]


def test_the_storage_of_fbi_llm() -> None:
    sizes, savings = [], []
    for model in (FBI_130M, FBI_1_3B, FBI_7B):
        dense, binary = storage_bytes(model.replace(linear=Dense())), storage_bytes(model)
        sizes.append((round(dense / 1e9, 3), round(binary / 1e9, 3), round(dense / 2**30, 2), round(binary / 2**30, 2)))
        savings.append(round(100 * (1 - binary / dense), 2))
    assert sizes == [(0.268, 0.109, 0.25, 0.1), (2.729, 0.418, 2.54, 0.39), (13.477, 1.339, 12.55, 1.25)]
    assert savings == [59.26, 84.67, 90.07]


def test_the_census_and_storage_of_bi_mamba() -> None:
    found = [counts(model) for model in BI_MAMBA.values()]
    assert [one.matrices for one in found] == [701_890_560, 1_239_416_832, 2_571_632_640]
    assert [one.scales for one in found] == [442_368, 589_824, 983_040]
    assert [round(100 * one.matrices / one.published, 1) for one in found] == [93.3, 94.9, 96.8]
    student, teacher = [], []
    for vocabulary, savings in ((32000, student), (50288, teacher)):
        for one in BI_MAMBA.values():
            model = one.replace(vocabulary=vocabulary)
            savings.append(round(100 * (1 - storage_bytes(model) / storage_bytes(model.replace(linear=Dense()))), 1))
    assert (student, teacher) == ([87.4, 88.9, 90.7], [84.3, 86.4, 89.2])


def test_products_of_a_row() -> None:
    # 3 blocks; 5 tokens see 15 pairs under the causal mask; the output projection is counted, the embedding is not.
    block = 2 * 48 * 48 + 2 * 48 * 16 + 3 * 48 * 80
    assert forward_flops_per_row(SMALL, 5, Kernels()) == 2 * (5 * (3 * block + 384 * 48) + 3 * 2 * 48 * 15)
    assert train_flops_per_row(SMALL, 6, Kernels()) == 3 * forward_flops_per_row(SMALL, 5, Kernels())


@pytest.mark.parametrize("linear", [Dense(), FBI], ids=["dense", "fbi"])
@pytest.mark.parametrize("name", SMALLS)
def test_torch_counts_the_same_products(name: str, linear: Dense | FbiLinear) -> None:
    model = SMALLS[name].replace(linear=linear)
    module = build(model, REFERENCE)
    ids = torch.zeros(2, 18, dtype=torch.int64)
    with torch.no_grad():
        for weight in module.parameters():
            weight.fill_(0.01)
    with FlopCounterMode(display=False) as forward:
        module.forward(ids)
    expected = products(model, 18, REFERENCE)
    assert forward.get_total_flops() == 2 * 2 * (expected.total - expected.scan)
    with FlopCounterMode(display=False) as both:
        next_token(module, ids, REFERENCE.linear_cross_entropy)["next_token"].backward()
    by_op = {str(op): count for op, count in both.get_flop_counts()["Global"].items()}
    by_op.pop("aten.convolution_backward", 0)  # torch counts the gradient of grouped channels as if all were mixed
    expected = products(model, 17, REFERENCE)
    matrices = expected.matrices + expected.head + expected.attention
    assert sum(by_op.values()) == 2 * 2 * (3 * matrices + expected.convolution)


def test_torch_counts_the_products_of_a_chunked_scan() -> None:
    kernels = Kernels(ssd_scan=ChunkedScan(chunk=8))
    module = build(SMALL_MAMBA, kernels)
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        module.forward(torch.zeros(2, 18, dtype=torch.int64))
    assert forward.get_total_flops() == 2 * 2 * products(SMALL_MAMBA, 18, kernels).total


def test_six_times_parameters_is_near_the_exact_count_for_a_large_model() -> None:
    exact = train_flops_per_row(K2_65B, 2048, Kernels()) / 2048
    assert exact == pytest.approx(6 * parameters(K2_65B), rel=0.04)


@pytest.mark.parametrize("name", SMALLS)
def test_what_a_position_keeps_is_about_what_autograd_saves(name: str) -> None:
    model = SMALLS[name]
    tokens, kernels = 24, Kernels(attention="reference", ssd_scan=ChunkedScan(chunk=8))
    module = build(model, kernels)
    with torch.no_grad():
        for weight in module.parameters():
            weight.fill_(0.01)
    own = {weight.untyped_storage().data_ptr() for weight in (*module.parameters(), *module.buffers())}
    saved: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own and tensor.is_floating_point():
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        held = module.features(torch.zeros(2, tokens, dtype=torch.int64))
    assert held.requires_grad
    assert 4 * 2 * tokens * kept_values(model, tokens, kernels) == pytest.approx(sum(saved.values()), rel=0.2)


def test_a_training_run() -> None:
    found = estimate(plan())
    row = train_flops_per_row(plan().model, 64, plan().kernels)
    assert found.tokens == 10 * 8 * 64
    assert found.flops == 10 * 8 * row
    assert found.flops_6nd == 6 * found.parameters * found.tokens
    assert found.seconds == found.flops / 5e10
    assert found.artifact_bytes > 3 * checkpoint_bytes(plan().model)
    assert estimate(plan(), A100).seconds == pytest.approx(found.flops / (0.4 * 19.5e12))


def test_a_resumed_run_counts_its_own_steps_only() -> None:
    resumed = plan().replace(start=FromCheckpoint.model_validate({"kind": "checkpoint", "checkpoint": "a@step-5"}))
    assert estimate(resumed).flops * 2 == estimate(plan()).flops


def test_zero_shares_out_the_optimizer_then_the_gradients() -> None:
    alone, one, two = memory_of(plan(4, 0)), memory_of(plan(4, 1)), memory_of(plan(4, 2))
    assert one.optimizer < alone.optimizer == 2 * alone.weights
    assert one.gradients == alone.gradients == 4 * two.gradients
    assert two.total_bytes() < one.total_bytes()


def test_a_chunked_loss_needs_fewer_logits() -> None:
    chunked = Kernels(linear_cross_entropy=ChunkedLoss(kind="chunked", tokens=256))
    naive = loss_values(FBI_130M, 2048, Kernels())
    assert naive == 3 * 2048 * 32000
    assert loss_values(FBI_130M, 2048, chunked) == 2 * 256 * 32000 + (2048 + 32000) * 768


def test_packed_matrices_need_one_bit_an_entry() -> None:
    packed = Kernels(binary_linear=PackedBinary(kind="packed"))
    found = counts(FBI_7B)
    assert weight_bytes(FBI_7B, packed) == found.matrices // 8 + 4 * (found.total - found.matrices)
    assert weight_bytes(FBI_7B, Kernels()) == 4 * found.total
    assert scoring_memory(FBI_7B, 1, 2048, packed).weights == decoding_memory(FBI_7B, 1, 2048, packed).weights


def test_only_attention_remembers_more_of_a_longer_text() -> None:
    assert state_values(K2_65B, 2048) == 2 * state_values(K2_65B, 1024) == 2048 * 80 * 2 * 8192
    assert state_values(BI_MAMBA["780M"], 4096) == state_values(BI_MAMBA["780M"], 64)


def test_a_stage_without_products_costs_none() -> None:
    split = Split.model_validate_json('{"kind":"split","documents":"a@b","by":"group","heldout":0.1,"seed":1}')
    found = estimate(split)
    assert (found.flops, found.memory.total_bytes(), found.seconds) == (0, 0, 0.0)
