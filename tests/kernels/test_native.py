"""Native kernels: the same bits on every instruction set and any number of threads, and clear errors on bad input."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import engine
from engine.compile.code import CodeIndex
from engine.data.dedup.spec import ExactDuplicates
from engine.kernels import native
from engine.kernels.adamw.native.kernel import adamw, numbers
from engine.kernels.adamw.reference import Update
from engine.kernels.causal_conv import causal_conv
from engine.kernels.gate import gated
from engine.kernels.norm import layer_norm, rms_norm
from engine.kernels.rotary import rotate
from engine.spec.errors import ArtifactError
from engine.spec.philox import generator

BY = Update(3, lr=1e-2, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.1, gradient_scale=0.37)

DIGEST = """
import hashlib, torch
from tests.kernels.test_native import every
found = hashlib.sha256()
for tensor in every():
    found.update(tensor.contiguous().view(torch.uint8).numpy().tobytes())
print(found.hexdigest(), torch.backends.cpu.get_cpu_capability())
"""


def draw(*shape: int, stream: int) -> Tensor:
    """Philox normals: torch's own change with the instruction set."""
    normals = generator(stream, "test", "native").normal(int(np.prod(shape)))
    return torch.from_numpy(normals.astype(np.float32).reshape(shape))


def every() -> list[Tensor]:
    """Outputs and gradients of all native kernels on odd shapes."""
    found: list[Tensor] = []
    x, y, w, b = (draw(*shape, stream=i) for i, shape in enumerate([(3, 70, 33), (3, 70, 33), (33,), (33,)]))
    heads, cos, sin = draw(2, 17, 3, 8, stream=5).transpose(1, 2), draw(17, 4, stream=6), draw(17, 4, stream=7)
    for dtype in (torch.float32, torch.bfloat16):
        x, y, heads = (t.to(dtype) for t in (x, y, heads))
        for run, given in (
            (lambda x, w: rms_norm(x, w, 1e-5, backend="native"), (x, w)),
            (lambda x, w, b: layer_norm(x, w, b, 1e-5, backend="native"), (x, w, b)),
            (lambda x, y: gated(x * 20, y, backend="native"), (x, y)),
            (lambda x: rotate(x, cos, sin, backend="native"), (heads,)),
        ):
            leaves = [t.detach().requires_grad_() for t in given]
            out = run(*leaves)
            found += [out.detach(), *torch.autograd.grad(out, leaves, draw(*out.shape, stream=9).to(out.dtype))]
    four = [draw(1031, stream=i) for i in (10, 11, 12)] + [draw(1031, stream=13).square()]
    adamw(*four, BY)
    return found + four


def test_one_digest_for_every_instruction_set_and_thread_count() -> None:
    digests, sets = set(), set()
    for capability, threads in (("default", "1"), ("avx2", "1"), ("avx512", "2")):
        environment = {**os.environ, "ATEN_CPU_CAPABILITY": capability, "OMP_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", DIGEST], env=environment, cwd=Path(__file__).parents[2],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        digest, used = done.stdout.split()
        digests.add(digest)
        sets.add(used)
    assert len(digests) == 1
    assert len(sets) >= 2


def test_adamw_is_the_definition_rounded_after_every_operation() -> None:
    p, g, m, v = (draw(1031, stream=i).numpy() for i in range(4))
    v = v * v
    four = [torch.from_numpy(a.copy()) for a in (p, g, m, v)]
    adamw(*four, BY)
    scale, b1, r1, b2, r2, root, eps, keep, rate = (np.float32(x) for x in numbers(BY))
    g = g * scale
    m = m * b1 + g * r1
    v = v * b2 + (g * g) * r2
    p = p * keep - (m / (np.sqrt(v) / root + eps)) * rate
    for ours, defined in zip(four, (p, g, m, v), strict=True):
        assert np.array_equal(ours.numpy(), defined) or defined is g  # the gradient is left as it is


def test_what_is_not_finite_passes_through() -> None:
    bad = torch.tensor([[1.0, float("nan"), 2.0], [1.0, 2.0, 3.0]])
    ones = torch.ones(3)
    for y in (rms_norm(bad, ones, 1e-5, backend="native"), layer_norm(bad, ones, ones, 1e-5, backend="native")):
        assert y[0].isnan().all()
        assert y[1].isfinite().all()
    assert gated(bad, torch.ones(2, 3), backend="native").isnan().tolist() == bad.isnan().tolist()


def test_saturated_gates_are_zero_or_the_identity() -> None:
    x = torch.tensor([-1e30, -200.0, -60.5, 60.5, 200.0, 1e30])
    torch.testing.assert_close(
        gated(x, torch.ones(6), backend="native"), torch.nn.functional.silu(x), rtol=1e-6, atol=1e-23
    )


def test_torch_knows_that_adamw_has_written() -> None:
    tensors = [torch.ones(4) for _ in range(4)]
    p, gradient, exp_avg, exp_avg_sq = tensors
    adamw(p, gradient, exp_avg, exp_avg_sq, BY)
    assert [tensor._version for tensor in tensors] == [1, 0, 1, 1]


def test_a_convolution_of_huge_negative_numbers_is_zero() -> None:
    y = causal_conv(torch.full((1, 4, 2), -3e38), torch.ones(2, 1, 1), torch.zeros(2), backend="native")
    assert (y == 0).all()


def test_what_a_native_kernel_cannot_read_is_refused() -> None:
    ones, wide, half = torch.ones(2, 4), torch.ones(2, 4).double(), torch.ones(2, 4).half()
    table = torch.ones(5, 2)
    for refused in (
        lambda: layer_norm(ones, ones[0], wide[0], 1e-5, backend="native"),
        lambda: rms_norm(wide, ones[0], 1e-5, backend="native"),
        lambda: gated(half, half, backend="native"),
        lambda: rotate(torch.ones(1, 1, 5, 4), table.half(), table, backend="native"),
        lambda: causal_conv(wide[None], torch.ones(4, 1, 2), torch.ones(4), backend="native"),
        lambda: adamw(wide, wide, wide, wide, BY),
    ):
        with pytest.raises(ArtifactError, match=r"the native backend wants .* in torch.float32.* not torch.float"):
            refused()
    with pytest.raises(ArtifactError, match="wants p contiguous"):
        adamw(ones.T, ones.T, ones.T, ones.T, BY)


def test_empty_batches_give_empty_results() -> None:
    assert rms_norm(torch.ones(0, 4), torch.ones(4), 1e-5, backend="native").shape == (0, 4)
    assert gated(torch.ones(0, 4), torch.ones(0, 4), backend="native").shape == (0, 4)


ENGINE = Path(engine.__file__).parent
SOURCES = sorted((ENGINE / "kernels").rglob("*.cpp"))


@pytest.fixture
def one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source that takes its one function from a header elsewhere; and an empty home."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "number.h").write_text("constexpr int NUMBER = 1;\n")
    source = tmp_path / "one.cpp"
    source.write_text('#include "number.h"\nextern "C" int number() { return NUMBER; }\n')
    return source


def load(source: Path) -> int:
    """What its function returns."""
    header = source.parent / "elsewhere" / "number.h"
    return int(native.library.__wrapped__(source, "DEFAULT", headers=(header,)).number())


def test_what_a_killed_build_left_stops_nobody(one: Path) -> None:
    assert load(one) == 1
    (built,) = one.parent.rglob("one_*.so")
    whole = built.read_bytes()
    for left in (built.with_suffix(""), built.parent / "building-killed"):
        left.mkdir()
        (left / "lock").touch()
        (left / built.name).write_bytes(whole[:5000])
    for damaged in (whole[:5000], b"", whole[:700] + bytes([whole[700] ^ 1]) + whole[701:]):
        built.unlink()  # this process has it in its memory
        built.write_bytes(damaged)
        assert native._is_whole(built) is False
    assert load(one) == 1
    assert native._is_whole(built)
    assert len([*built.parent.iterdir()]) == 3


def test_a_header_elsewhere_is_part_of_the_key(one: Path) -> None:
    assert load(one) == 1
    (one.parent / "elsewhere" / "number.h").write_text("constexpr int NUMBER = 2;\n")
    assert load(one) == 2


def test_what_cannot_be_kept_or_compiled_or_loaded_is_told(one: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Path.home() / ".cache"
    kept.write_text("no folder")
    with pytest.raises(ArtifactError, match=r"cannot be used.*set HOME"):
        load(one)
    kept.unlink()
    load(one)
    monkeypatch.setenv("HOME", str(Path.home().rename(one.parent / "other")))
    (built,) = one.parent.rglob("one_*.so")
    built.unlink()
    built.write_bytes(b"another machine's" + hashlib.sha256(b"another machine's").digest())
    with pytest.raises(ArtifactError, match=r"compiled from one.cpp and cannot be loaded.*remove it"):
        load(one)
    one.write_text("what is this")
    with pytest.raises(ArtifactError, match=r"one.cpp does not compile with g\+\+"):
        load(one)


@pytest.mark.parametrize("source", SOURCES, ids=[source.stem for source in SOURCES])
def test_a_code_digest_holds_the_headers_that_are_included_and_no_others(source: Path) -> None:
    folder = source.parent.relative_to(ENGINE.parent)
    module, entry = ".".join(folder.parts), f"_{source.stem}"
    if folder.name == "native":
        module, entry = f"{module}.kernel", "_library"
    reached = CodeIndex(ENGINE).reach((module, entry), ExactDuplicates(kind="exact")).definitions
    beside = [*source.parent.glob("*.h"), *source.parent.glob("*.cpp")]
    included = {name for file in beside for name in re.findall('#include "(.*)"', file.read_text())}
    assert {Path(name).name for name in reached if name.endswith(".h")} == included
    assert source.relative_to(ENGINE.parent).as_posix() in reached
