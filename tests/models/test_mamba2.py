"""Mamba-2: weights, both ways through the module, 1-bit matrices on both, and transformers on shared weights."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, Mamba2Config, Mamba2ForCausalLM

from engine.compile.check import own_problems
from engine.compile.estimate import parameters
from engine.kernels.binary_linear.reference import dense
from engine.kernels.spec import Kernels, NativeScan, RecurrentScan
from engine.models.build import build, load_weights
from engine.models.huggingface import export_hf
from engine.models.init import Weights, initial_weights, parameter_shapes
from engine.models.mamba2 import MixerState
from engine.models.mamba2_init import exp, inverse_softplus
from engine.models.spec import FbiLinear, Mamba2, MambaInit
from engine.spec.canonical import digest
from engine.spec.errors import ArtifactError
from tests.models.pretrained import read_back
from tests.train import toy

IDS_BT = torch.from_numpy(np.random.Generator(np.random.Philox(1)).integers(0, 300, (2, 70)))
FUSED = Kernels(ssd_scan=NativeScan(kind="native", chunk=16), causal_conv="native", gate="native", norm="native")
DEFINED = Kernels(ssd_scan=RecurrentScan(kind="reference"))
FBI = FbiLinear(kind="fbi")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors this small take longer with more, if the machine is busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def tiny(**changes: object) -> Mamba2:
    spec = Mamba2(
        kind="mamba2", vocabulary=300, layers=2, width=32, state=16, head_width=16, context=64, tied=True
    )  # fmt: skip
    return spec.replace(**changes)


def all_at_once(spec: Mamba2, weights: Weights, kernels: Kernels) -> Tensor:
    model = build(spec, kernels)
    load_weights(model, weights, "test")
    with torch.no_grad():
        logits_BTV: Tensor = model(IDS_BT)
    return logits_BTV


def one_by_one(spec: Mamba2, weights: Weights, kernels: Kernels) -> Tensor:
    model = build(spec, kernels)
    load_weights(model, weights, "test")
    state = model.begin(len(IDS_BT), IDS_BT.shape[1])
    with torch.no_grad():
        return torch.stack([model.step(ids_B, state) for ids_B in IDS_BT.T], dim=1)


def away(ours: Tensor, theirs: Tensor) -> float:
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


@pytest.mark.parametrize(
    "spec", [tiny(), tiny(tied=False, groups=2), tiny(linear=FBI), tiny(linear=FbiLinear(kind="fbi", scale="output"))]
)
def test_every_parameter_of_the_module_has_its_weights(spec: Mamba2) -> None:
    module, weights = build(spec, Kernels()), initial_weights(spec, 1)
    found = {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}
    assert found == parameter_shapes(spec) == {name: weight.shape for name, weight in weights.items()}
    assert sum(parameter.numel() for parameter in module.parameters()) == parameters(spec)


def test_exactly_the_two_projections_become_one_bit() -> None:
    named = {name.removesuffix(".alpha") for name in parameter_shapes(tiny(linear=FBI)) if name.endswith(".alpha")}
    assert named == {f"layers.{layer}.mixer.{matrix}" for layer in (0, 1) for matrix in ("input", "output")}


def test_golden_digest() -> None:
    weights = initial_weights(tiny(tied=False), 20260801)
    assert digest({name: w.tobytes().hex() for name, w in weights.items()}) == GOLDEN


def test_weights_are_spread_as_declared() -> None:
    spec = tiny(width=256, layers=4, init=MambaInit(a=(2.0, 8.0), dt=(0.002, 0.05), dt_floor=0.004))
    of = {name.removeprefix("layers.1.mixer."): w for name, w in initial_weights(spec, 3).items()}
    assert np.abs(of["input.weight"]).max() == pytest.approx(1 / 16, rel=1e-3)
    assert of["input.weight"].std() == pytest.approx(1 / 16 / math.sqrt(3), rel=0.01)
    assert np.abs(of["output.weight"]).max() == pytest.approx(1 / math.sqrt(512) / 2, rel=1e-3)
    assert np.abs(of["conv.weight"]).max() == pytest.approx(0.5, rel=1e-2)
    assert of["embedding.weight"].std() == pytest.approx(0.02, rel=0.02)
    dt, a = np.log1p(np.exp(of["dt_bias"].astype(np.float64))), np.exp(of["a_log"])
    assert np.isclose(dt.min(), 0.004)
    assert dt.max() < 0.05
    assert 2.0 < a.min() < a.max() < 8.0
    assert np.all(of["d"] == 1.0)


def test_our_exp_and_inverse_softplus_are_right_to_the_last_places() -> None:
    x = np.linspace(-20.0, 20.0, 10001)
    np.testing.assert_allclose(exp(x), np.exp(x), rtol=1e-15)
    y = np.exp(np.linspace(-16.0, 3.0, 1001))
    np.testing.assert_allclose(np.logaddexp(0.0, inverse_softplus(y)), y, rtol=4e-15)


@pytest.mark.parametrize("spec", [tiny(), tiny(groups=4, dt_limit=(0.01, 0.05)), tiny(linear=FBI), tiny(conv=1)])
def test_every_way_through_the_model_gives_the_same_logits(spec: Mamba2) -> None:
    weights = initial_weights(spec, 7)
    defined = all_at_once(spec, weights, DEFINED)
    for found in (
        all_at_once(spec, weights, Kernels()), all_at_once(spec, weights, FUSED),
        one_by_one(spec, weights, Kernels()), one_by_one(spec, weights, FUSED),
    ):  # fmt: skip
        assert away(found, defined) <= 1e-5


def test_both_ways_use_the_one_bit_matrices() -> None:
    spec = tiny(linear=FBI)
    weights = initial_weights(spec, 7)
    plain = {name: w for name, w in weights.items() if not name.endswith((".alpha", ".beta"))}
    for name in weights:
        if name.endswith(".alpha"):
            three = [torch.from_numpy(weights[name.replace("alpha", part)]) for part in ("weight", "alpha", "beta")]
            plain[name.replace("alpha", "weight")] = dense(*three, "input", "minus_one").numpy()
    expected = all_at_once(tiny(), plain, DEFINED)
    assert away(all_at_once(spec, weights, FUSED), expected) <= 1e-5
    assert away(one_by_one(spec, weights, FUSED), expected) <= 1e-5
    latent = {name: weights[name] for name in plain}
    assert away(all_at_once(tiny(), latent, FUSED), expected) > 1e-2


def test_gradients_of_the_fused_model_are_those_of_the_definition() -> None:
    spec, found = tiny(groups=2, linear=FBI), []
    for kernels in (FUSED, DEFINED):
        model = build(spec, kernels)
        load_weights(model, initial_weights(spec, 7), "test")
        model(IDS_BT).logsumexp(-1).mean().backward()
        found.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, gradient in found[1].items():
        assert away(found[0][name], gradient) <= 2e-5, name


def test_the_decode_state_is_as_large_after_many_positions_as_before() -> None:
    model = build(tiny(), Kernels())
    load_weights(model, initial_weights(tiny(), 7), "test")
    state = model.begin(2, 4096)
    begun = sizes(state)
    assert begun == sizes(model.begin(2, 1))
    with torch.no_grad():
        for ids_B in IDS_BT.T:
            model.step(ids_B, state)
    assert sizes(state) == begun


def sizes(state: list[MixerState]) -> int:
    return sum(tensor.numel() for layer in state for tensor in (layer.inputs, layer.scan))


def test_bf16_products_leave_residual_stream_and_scan_in_fp32() -> None:
    spec = tiny()
    model = build(spec, FUSED)
    load_weights(model, initial_weights(spec, 7), "test")
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert model.features(IDS_BT).dtype == torch.float32
        assert away(model(IDS_BT).float(), all_at_once(spec, initial_weights(spec, 7), FUSED)) < 0.03


@pytest.mark.parametrize("changes", [{}, {"tied": False, "groups": 2}, {"tied": False, "dt_limit": (0.01, 0.05)}])
def test_exported_folder_gives_transformers_the_same_logits(tmp_path: Path, changes: dict[str, object]) -> None:
    spec = tiny(**changes)
    weights = initial_weights(spec, 7)
    export_hf(weights, spec, None, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    with torch.no_grad():
        logits = theirs(IDS_BT).logits
    for kernels in (FUSED, Kernels()):
        assert away(all_at_once(spec, weights, kernels), logits) <= 1e-5
    back, again = read_back(tmp_path)
    assert back == spec
    assert all(np.array_equal(again[name], weights[name]) for name in weights)


@pytest.mark.parametrize("tied", [True, False])
def test_a_folder_written_by_transformers_is_read(tmp_path: Path, tied: bool) -> None:
    torch.manual_seed(3)
    config = Mamba2Config(
        vocab_size=300, hidden_size=32, num_hidden_layers=2, num_heads=16, head_dim=4, state_size=8,
        tie_word_embeddings=tied, time_step_limit=(0.0, math.inf),
    )  # fmt: skip
    theirs = Mamba2ForCausalLM(config).eval()
    theirs.save_pretrained(tmp_path)
    spec, weights = read_back(tmp_path)
    assert isinstance(spec, Mamba2)
    assert (spec.groups, spec.tied, spec.dt_limit) == (8, tied, None)
    with torch.no_grad():
        assert away(all_at_once(spec, weights, FUSED), theirs(IDS_BT).logits) <= 1e-5


def test_another_architecture_is_refused_by_the_name_of_its_setting(tmp_path: Path) -> None:
    export_hf(initial_weights(tiny(), 1), tiny(), None, tmp_path)
    config = tmp_path / "config.json"
    text = config.read_text()
    config.write_text(text.replace('"use_bias": false', '"use_bias": true'))
    with pytest.raises(ArtifactError, match="use_bias is True"):
        read_back(tmp_path)
    config.write_text(text.replace('"num_heads": 4', '"num_heads": 5'))
    with pytest.raises(ArtifactError, match="heads x head_dim is 80; the engine's mamba2 has 64"):
        read_back(tmp_path)


@pytest.mark.parametrize(
    ("layers", "width", "one_bit", "total"),
    [  # width and layers of Bi-Mamba's 780M, 1.3B and 2.7B; totals of its 32000 ids, scales aside
        (48, 1536, 701_890_560, 752_070_912),
        (48, 2048, 1_239_416_832, 1_306_303_488),
        (64, 2560, 2_571_632_640, 2_655_782_400),
    ],
)
def test_published_sizes_have_their_counts(layers: int, width: int, one_bit: int, total: int) -> None:
    spec = tiny(vocabulary=32000, layers=layers, width=width, state=128, head_width=64, context=2048)
    with torch.device("meta"):
        module = build(spec, Kernels())
    counts = {name: parameter.numel() for name, parameter in module.named_parameters()}
    matrices = ("mixer.input.weight", "mixer.output.weight")
    assert sum(count for name, count in counts.items() if name.endswith(matrices)) == one_bit
    assert sum(counts.values()) == parameters(spec) == total


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"head_width": 24}, ("model.head_width", "32 x 2 = 64 is no multiple of 24")),
        ({"groups": 3}, ("model.groups", "4 heads are no multiple of 3 groups")),
        ({"dt_limit": (0.5, 0.1)}, ("model.dt_limit", "0.5 to 0.1 is empty")),
        ({"init": MambaInit(a=(3.0, 2.0))}, ("model.init.a", "3.0 to 2.0 is empty")),
    ],
)
def test_sizes_that_do_not_fit_are_told(changes: dict[str, object], told: tuple[str, str]) -> None:
    stage = toy.plan().replace(model=tiny(**changes))
    assert [path for path, text in own_problems(stage) if told[1] in text] == [told[0]]


GOLDEN = "38d534d594b4145c87bc9f645cbfc460a77c500f46df256ae3bb55bb3f6a7a56"
