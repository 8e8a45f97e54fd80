"""A backend whose library is missing says which extra brings it, and nothing else runs in its place."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch

from engine.kernels.extra import needs
from engine.kernels.norm import rms_norm
from engine.kernels.norm.triton import launch
from engine.spec.errors import ArtifactError
from tests.conftest import ROOT

CALL = """
import torch
from engine.kernels.linear_cross_entropy import linear_cross_entropy
from engine.kernels.linear_distillation import linear_distillation
from engine.kernels.norm import layer_norm, rms_norm
from engine.kernels.spec import LigerDistillation, LigerLoss, MambaSsmScan, TritonBinary
from engine.kernels.binary_linear import binary_linear
from engine.kernels.ssd_scan import ssd_scan
from engine.spec.errors import ArtifactError

x, w = torch.ones(2, 4), torch.ones(4)
seen = torch.zeros(2, dtype=torch.int64)
calls = {
    "linear_cross_entropy": lambda: linear_cross_entropy(x, x, seen, 1.0, backend=LigerLoss(kind="liger")),
    "linear_distillation": lambda: linear_distillation(x, x, 1.0, x, x, 1.0, backend=LigerDistillation(kind="liger")),
    "rms_norm": lambda: rms_norm(x, w, 1e-5, backend="triton"),
    "layer_norm": lambda: layer_norm(x, w, w, 1e-5, backend="triton"),
    "binary_linear": lambda: binary_linear(
        x, x.repeat(2, 1), w, w, scale="input", zero="minus_one", backend=TritonBinary(kind="triton")
    ),
    "ssd_scan": lambda: ssd_scan(*SCAN, backend=MambaSsmScan(kind="mamba_ssm")),
}
SCAN = (torch.ones(1, 2, 1, 4), torch.ones(1, 2, 1), torch.ones(1), *[torch.ones(1, 2, 1, 4)] * 2, torch.ones(1))
for name, call in calls.items():
    try:
        call()
    except ArtifactError as error:
        print(f"{name}: {error}")
"""
EXTRA_OF = {
    "linear_cross_entropy": "gpu",
    "linear_distillation": "gpu",
    "rms_norm": "gpu",
    "layer_norm": "gpu",
    "binary_linear": "gpu",
    "ssd_scan": "mamba",
}


def test_a_missing_library_is_an_error_that_names_its_extra(tmp_path: Path) -> None:
    for library in ("triton", "liger_kernel", "mamba_ssm"):
        text = f"raise ModuleNotFoundError(\"No module named '{library}'\", name='{library}')\n"
        (tmp_path / f"{library}.py").write_text(text)
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", CALL], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert told.keys() == EXTRA_OF.keys()
    for op, extra in EXTRA_OF.items():
        assert "is not installed" in told[op], told[op]
        assert f"pip install 'facsimile-llm[{extra}]'" in told[op], told[op]


def test_every_extra_that_an_error_names_is_declared() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    texts = [
        node.value
        for file in (ROOT / "engine").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_bytes()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    named = {text.partition("facsimile-llm[")[2].partition("]")[0] for text in texts if "facsimile-llm[" in text}
    assert named - {""} <= declared.keys()
    assert {"train", "eval", "gpu", "mamba", "dev"} <= declared.keys()


def test_a_module_of_ours_that_is_missing_is_our_fault() -> None:
    with pytest.raises(ModuleNotFoundError), needs("triton", "gpu", "norm: triton"):
        raise ModuleNotFoundError("No module named 'engine.nosuch'", name="engine.nosuch")


def test_a_triton_norm_without_interpreter_or_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "interpreted", lambda: False)
    with pytest.raises(ArtifactError, match="norm: triton: the tensors are on `cpu`"):
        rms_norm(torch.ones(2, 4), torch.ones(4), 1e-5, backend="triton")


@pytest.mark.parametrize(("shape", "says"), [((0, 4), "the batch is empty"), ((2, 5), "5 channels, but parameters")])
def test_a_triton_norm_refuses_what_does_not_fit(shape: tuple[int, int], says: str) -> None:
    with pytest.raises(ArtifactError, match=says):
        rms_norm(torch.ones(shape), torch.ones(4), 1e-5, backend="triton")
