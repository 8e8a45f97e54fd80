"""Packed models: logits of the latent weights, decoding, a folder written and read, and transformers' copy of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from engine.kernels.record import check_declared, forget
from engine.kernels.spec import Kernels, PackedBinary
from engine.models.build import build, load_weights
from engine.models.decoder import Decoder, greedy
from engine.models.huggingface import export_hf
from engine.models.init import Weights, initial_weights
from engine.models.packed import read_packed, write_packed
from engine.models.spec import Alibi, AlibiGpt, FbiLinear, Llama, Mamba2, Model
from engine.spec.errors import ArtifactError
from tests.models.pretrained import read_back

IDS_BT = torch.from_numpy(np.random.Generator(np.random.Philox(5)).integers(0, 97, (2, 24)))
PACKED = Kernels(binary_linear=PackedBinary(kind="packed"))
INT8 = Kernels(binary_linear=PackedBinary(kind="packed", activations="int8"))


def llama(**changes: Any) -> Llama:
    spec = Llama(
        kind="llama", vocabulary=97, layers=2, width=40, heads=4, kv_heads=2, mlp=53, context=64, tied=False,
        linear=FbiLinear(kind="fbi"),
    )  # fmt: skip
    return spec.replace(**changes)


MODELS: dict[str, Model] = {
    "llama": llama(),
    "llama-by-output": llama(linear=FbiLinear(kind="fbi", scale="output"), tied=True),
    "llama-one-scale": llama(linear=FbiLinear(kind="fbi", scale="tensor", zero="plus_one")),
    "alibi_gpt": AlibiGpt(
        kind="alibi_gpt", vocabulary=97, layers=2, width=32, heads=4, mlp=44, context=64, position=Alibi(kind="alibi"),
        linear=FbiLinear(kind="fbi"),
    ),
    "mamba2": Mamba2(
        kind="mamba2", vocabulary=97, layers=2, width=32, state=8, head_width=16, context=64, tied=True,
        linear=FbiLinear(kind="fbi"),
    ),
}  # fmt: skip


def weights_of(spec: Model) -> Weights:
    """Wider than at the beginning of a run, so that logits differ, with a few exact zeros among the latents."""
    weights = {name: w * 4 if w.ndim == 2 else w for name, w in initial_weights(spec, 7).items()}
    for name, w in weights.items():
        if name.endswith(".alpha"):
            latent = weights[name.removesuffix("alpha") + "weight"]
            latent[0, :3] = 0.0
            weights[name] = w * 4
            weights[name.removesuffix("alpha") + "beta"] += np.float32(0.02)
    return weights


def loaded(spec: Model, kernels: Kernels) -> Decoder[Any]:
    model = build(spec, kernels)
    load_weights(model, weights_of(spec), "test")
    return model


@torch.no_grad()
def logits(model: Decoder[Any]) -> Tensor:
    return model(IDS_BT)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", MODELS)
def test_packed_logits_are_those_of_the_latent_weights(name: str) -> None:
    dense = logits(loaded(MODELS[name], Kernels()))
    forget()
    packed = logits(loaded(MODELS[name], PACKED))
    check_declared(PACKED)
    assert (packed - dense).abs().max() <= 1e-4 * dense.abs().max()
    int8 = logits(loaded(MODELS[name], INT8))
    assert 0 < (int8 - dense).abs().max() <= 0.1 * dense.abs().max()


@pytest.mark.parametrize("name", MODELS)
def test_a_packed_folder_gives_the_same_bits_as_the_model_it_was_made_of(tmp_path: Path, name: str) -> None:
    spec = MODELS[name]
    write_packed(weights_of(spec), spec, None, tmp_path)
    back, model = read_packed(tmp_path, PACKED)
    assert back == spec
    assert torch.equal(logits(model), logits(loaded(spec, PACKED)))
    assert not any(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("kernels", [Kernels(), PACKED, INT8], ids=["dense", "packed", "int8"])
def test_a_decode_step_gives_the_logits_of_the_whole_text(kernels: Kernels) -> None:
    model = loaded(llama(), kernels)
    whole_BTV = logits(model)
    state = model.begin(*IDS_BT.shape)
    with torch.no_grad():
        steps = [model.step(IDS_BT[:, t], state) for t in range(IDS_BT.shape[1])]
    torch.testing.assert_close(torch.stack(steps, dim=1), whole_BTV, rtol=0, atol=2e-5)


def test_greedy_ids_are_the_most_likely_ones() -> None:
    model = loaded(llama(), PACKED)
    found = greedy(model, IDS_BT, 8)
    text = IDS_BT
    for _ in range(8):
        with torch.no_grad():
            text = torch.cat((text, model(text)[:, -1].argmax(-1)[:, None]), dim=1)
    assert torch.equal(text[:, IDS_BT.shape[1] :], found)


def test_a_packed_folder_has_one_bit_a_weight(tmp_path: Path) -> None:
    write_packed(weights_of(llama()), llama(), None, tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    assert tensors["layers.0.mlp.down.bits"].shape == (40, 7)
    assert tensors["layers.0.mlp.down.bits"].dtype == torch.uint8
    assert "layers.0.mlp.down.weight" not in tensors


def test_a_damaged_or_other_packed_folder_is_refused(tmp_path: Path) -> None:
    write_packed(weights_of(llama()), llama(), None, tmp_path)
    with pytest.raises(ArtifactError, match=r"kernels.binary_linear is `reference`; declare `packed`"):
        read_packed(tmp_path, Kernels())
    whole = load_file(tmp_path / "model.safetensors")
    name = "layers.1.mlp.up.bits"
    for change, told in (
        ({name: None}, r"missing \['layers.1.mlp.up.bits'\]"),
        ({name: whole[name][:, :4].contiguous()}, r"uint8 \[outputs, 5\], not torch.uint8 \[53, 4\]"),
        ({name: whole[name][:50]}, r"has shape \(50,\), the model wants \(53,\)"),
        ({"layers.1.mlp.up.alpha": torch.ones(1)}, r"alpha has shape \(1,\), the model wants \(40,\)"),
        ({"norm.weight": None}, 'Missing key.*"norm.weight"'),
        ({"more": torch.ones(1)}, 'Unexpected key.*"more"'),
    ):
        changed = {key: value for key, value in (whole | change).items() if value is not None}
        save_file(changed, tmp_path / "model.safetensors")
        with pytest.raises(ArtifactError, match=f"(?s){told}"):
            read_packed(tmp_path, PACKED)
    (tmp_path / "model.safetensors").write_bytes(b"{}")
    with pytest.raises(ArtifactError, match=r"model.safetensors cannot be read"):
        read_packed(tmp_path, PACKED)
    (tmp_path / "packed.json").write_text('{"format": 2}')
    with pytest.raises(ArtifactError, match=r"packed.json cannot be read"):
        read_packed(tmp_path, PACKED)


def test_what_cannot_be_packed_is_told_by_its_name(tmp_path: Path) -> None:
    ternary = llama(linear=FbiLinear(kind="fbi", zero="zero"))
    with pytest.raises(ArtifactError, match=r"layers.0.attention.query.weight: 3 weights are exactly zero"):
        write_packed(weights_of(ternary), ternary, None, tmp_path / "out")
    dense = llama(linear={"kind": "dense"})
    with pytest.raises(ArtifactError, match="this llama model has no 1-bit matrices"):
        write_packed(initial_weights(dense, 1), dense, None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["llama", "llama-by-output", "llama-one-scale", "mamba2"])
def test_transformers_gives_the_same_logits_with_our_modelling_file(tmp_path: Path, name: str) -> None:
    spec, weights = MODELS[name], weights_of(MODELS[name])
    export_hf(weights, spec, None, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32, trust_remote_code=True).eval()
    ours = logits(loaded(spec, Kernels()))
    with torch.no_grad():
        assert (theirs(IDS_BT).logits - ours).abs().max() <= 1e-5 * max(1.0, ours.abs().max().item())
    back, again = read_back(tmp_path)
    assert back.replace(init=spec.init) == spec
    assert all(np.array_equal(again[each], weights[each]) for each in weights)
