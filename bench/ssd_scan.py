"""Mamba-2's inner part beside transformers' torch path: convolution, SiLU, softplus and scan, forward and backward.

python -m bench.ssd_scan

Shape: width 768 (24 heads of 64, state 128, one group), 2048 positions, batch 1, fp32, AVX2, one thread and two; what
the input projection gives goes in, y comes out, and gradients of all inputs are made. The scan alone is measured too.
Time: all forms turn about in one process; ratios are medians over the rounds, with their range.
Memory: each form alone in a fresh process, once, after a small call has loaded what torch loads; extra is the peak of
resident memory (VmHWM, reset through /proc/self/clear_refs) less what was resident before the call. It holds the
gradients, which every form must return.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.models.mamba2 import modeling_mamba2 as theirs

from bench.memory import extra_memory
from engine.artifacts.environment import closed_environment
from engine.kernels.causal_conv import causal_conv
from engine.kernels.spec import ChunkedScan, NativeScan, ScanBackend
from engine.kernels.ssd_scan import ssd_scan
from engine.spec.numerics import Numerics

TOKENS, WIDTH, HEAD, STATE, SEEN, ROUNDS = 2048, 768, 64, 128, 4, 5
INNER = 2 * WIDTH
HEADS = INNER // HEAD
Inputs = dict[str, Tensor]
Form = Callable[[Inputs], Tensor]


def inputs(tokens: int) -> Inputs:
    """xBC and dt as the input projection gives them, and the block's vectors as the paper draws them."""
    drawn = torch.Generator().manual_seed(0)
    channels = INNER + 2 * STATE
    found = {
        "xbc": torch.randn(1, tokens, channels, generator=drawn),
        "dt": torch.randn(1, tokens, HEADS, generator=drawn) * 0.5,
        "weight": torch.rand(channels, 1, SEEN, generator=drawn) - 0.5,
        "bias": torch.rand(channels, generator=drawn) - 0.5,
        "dt_bias": torch.empty(HEADS).uniform_(-6.9, -2.3, generator=drawn),
        "a": -torch.empty(HEADS).uniform_(1.0, 16.0, generator=drawn),
        "d": torch.ones(HEADS),
    }
    return {name: tensor.requires_grad_() for name, tensor in found.items()}


def scan_inputs(tokens: int) -> Inputs:
    """What the scan alone takes: dt positive, x and B and C after the convolution."""
    of = inputs(tokens)
    with torch.no_grad():
        x, b, c = split(causal_conv(of["xbc"], of["weight"], of["bias"], backend="reference"))
        dt = F.softplus(of["dt"] + of["dt_bias"])
    found = {"x": x, "dt": dt, "a": of["a"], "b": b, "c": c, "d": of["d"]}
    return {name: tensor.detach().contiguous().requires_grad_() for name, tensor in found.items()}


def split(xbc: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    x, b, c = torch.split(xbc, [INNER, STATE, STATE], dim=-1)
    front = xbc.shape[:2]
    return x.view(*front, HEADS, HEAD), b.view(*front, 1, STATE), c.view(*front, 1, STATE)


def their_block(chunk: int) -> Form:
    """As Mamba2Mixer.forward calls its functions; `.contiguous()` stands where it has `reshape`."""

    def form(of: Inputs) -> Tensor:
        xbc = theirs.causal_conv1d_fn(of["xbc"].transpose(1, 2), of["weight"][:, 0], of["bias"], activation="silu")
        x, b, c = split(xbc.transpose(1, 2))
        y: Tensor = theirs.mamba2_chunk_scan(
            x, of["dt"], of["a"], b, c, chunk, D=of["d"], dt_bias=of["dt_bias"], dt_softplus=True
        )
        return y

    return form


def our_block(backend: ScanBackend) -> Form:
    def form(of: Inputs) -> Tensor:
        kind = "native" if isinstance(backend, NativeScan) else "reference"
        x, b, c = split(causal_conv(of["xbc"], of["weight"], of["bias"], backend=kind))
        return ssd_scan(x, F.softplus(of["dt"] + of["dt_bias"]), of["a"], b, c, of["d"], backend=backend)

    return form


def their_scan(chunk: int) -> Form:
    def form(of: Inputs) -> Tensor:
        y: Tensor = theirs.mamba2_chunk_scan(of["x"], of["dt"], of["a"], of["b"], of["c"], chunk, D=of["d"])
        return y

    return form


def our_scan(backend: ScanBackend) -> Form:
    return lambda of: ssd_scan(of["x"], of["dt"], of["a"], of["b"], of["c"], of["d"], backend=backend)


NATIVE, CHUNKED = NativeScan(kind="native"), ChunkedScan()
PEER_CHUNKS = (32, 64, 128, 256)
PARTS: dict[str, tuple[Callable[[int], Inputs], dict[str, Form]]] = {
    "convolution to y": (
        inputs,
        {f"transformers, chunk {n}": their_block(n) for n in PEER_CHUNKS}
        | {"chunked, chunk 64": our_block(CHUNKED), "native, chunk 64": our_block(NATIVE)},
    ),
    "scan alone": (
        scan_inputs,
        {f"transformers, chunk {n}": their_scan(n) for n in PEER_CHUNKS}
        | {"chunked, chunk 64": our_scan(CHUNKED), "native, chunk 64": our_scan(NATIVE)},
    ),
}


def step(form: Form, of: Inputs) -> tuple[float, list[Tensor]]:
    """Seconds of a forward and backward pass, and y with all gradients."""
    began = time.perf_counter()
    y = form(of)
    gradients = torch.autograd.grad(y, list(of.values()), torch.ones(y.shape))
    return time.perf_counter() - began, [y.detach(), *gradients]


def own_memory(part: str, name: str) -> int:
    """Bytes of one step in this process."""
    make, forms = PARTS[part]
    step(forms[name], make(64))
    of = make(TOKENS)
    return extra_memory(lambda: step(forms[name], of))


def measured_memory(part: str, name: str) -> float:
    """MiB, in a fresh process of the same environment."""
    command = [sys.executable, "-m", "bench.ssd_scan", part, name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1])) / 2**20


def away(ours: list[Tensor], others: list[Tensor]) -> float:
    """The largest difference, of the largest magnitude of its tensor."""
    return max(((a - b).abs().max() / b.abs().max()).item() for a, b in zip(ours, others, strict=True))


def table(part: str) -> None:
    make, forms = PARTS[part]
    of, seconds, results = make(TOKENS), {name: [] for name in forms}, {}
    for turn in range(ROUNDS):
        for name in list(forms) if turn % 2 == 0 else reversed(forms):
            took, results[name] = step(forms[name], of)
            seconds[name].append(took)
    last = list(forms)[-1]
    memory = {name: measured_memory(part, name) for name in forms}
    print(f"| {part} | seconds, least | native is faster by | extra MiB | native's of it | differs from native by |")
    print("|---|---|---|---|---|---|")
    for name in forms:
        ratios = [a / b for a, b in zip(seconds[name], seconds[last], strict=True)]
        print(
            f"| {name} | {min(seconds[name]):.3f} | {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            f" | {memory[name]:.0f} | {memory[last] / memory[name]:.2f} | {away(results[name], results[last]):.0e} |"
        )
    print(flush=True)


def main() -> None:
    match sys.argv[1:]:
        case [part, name]:
            print(json.dumps(own_memory(part, name)))
        case ["tables"]:
            print(f"threads: {torch.get_num_threads()}\n")
            for part in PARTS:
                table(part)
        case _:
            print(
                f"width {WIDTH}, {HEADS} heads of {HEAD}, state {STATE}, {TOKENS} positions, fp32, AVX2\n", flush=True
            )
            for threads in (1, 2):
                numerics = Numerics.model_validate({"threads": threads})
                command = [sys.executable, "-W", "ignore", "-m", "bench.ssd_scan", "tables"]
                subprocess.run(command, env=closed_environment(numerics, os.environ), check=True)


if __name__ == "__main__":
    main()
