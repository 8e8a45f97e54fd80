"""Where the time of a native training step goes, by torch's profiler: products, attention, our own kernels, the rest.

    python -m bench.profile_step [512]

The model is that of bench.training, fp32, one thread. "of sgemm" is what the products reach of the rate of a
2048 x 2048 x 2048 one of the same process: 6 x their weights x tokens over their time. The last row is the whole step
by the measure of bench.training (6 x all parameters x tokens), and what it would be if everything but products cost
nothing, and if attention alone did.
"""

import json
import sys
import time
from collections import defaultdict
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from bench.training import ROWS, SETTINGS, TOKENS, child, model_of, ours
from engine.models.init import initial_weights
from engine.spec.numerics import Numerics

STEPS = 3
PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::addmm_", "mkl::")
ATTENTION = ("scaled_dot_product", "flash_attention")


def kind_of(name: str) -> str:
    """The part of the step that an operator of torch belongs to."""
    if any(part in name for part in ATTENTION):
        return "attention"
    if name.startswith(PRODUCTS):
        return "products"
    return "own kernels" if name.startswith("facsimile::") else "the rest"


def measure(width: int) -> dict[str, Any]:
    """Seconds a step by part, without the profiler and with it, and the seconds of the large product."""
    model = model_of(width)
    step, square = ours(model, SETTINGS["native"]), torch.ones(2048, 2048)
    step()
    step()
    alone, large = [], []
    for _ in range(STEPS):
        for call, seconds in ((step, alone), (lambda: torch.mm(square, square), large)):
            began = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - began)
    parts: dict[str, float] = defaultdict(float)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(STEPS):
            step()
    for event in profiler.key_averages():
        parts[kind_of(event.key)] += event.self_cpu_time_total / 1e6 / STEPS
    weights = initial_weights(model, 1)
    multiplied = sum(w.size for w in weights.values() if w.ndim == 2)  # the tied embedding is the head
    return {
        "parts": parts, "alone": min(alone), "large": min(large), "multiplied": multiplied,
        "all": sum(w.size for w in weights.values()),
    }  # fmt: skip


def table(instructions: str, found: dict[str, Any]) -> None:
    """A row a part, then the step."""
    parts, rate = found["parts"], 2 * 2048**3 / found["large"]
    whole, tokens = sum(parts.values()), ROWS * TOKENS
    for name, seconds in sorted(parts.items(), key=lambda part: -part[1]):
        reached = f"{6 * found['multiplied'] * tokens / seconds / rate:.2f}" if name == "products" else ""
        print(f"| {instructions} | {name} | {seconds * 1e3:.0f} | {seconds / whole:.2f} | {reached} |")
    of = {"step": whole, "products alone": parts["products"], "without attention": whole - parts["attention"]}
    reached = ", ".join(f"{name} {6 * found['all'] * tokens / seconds / rate:.2f}" for name, seconds in of.items())
    print(f"| {instructions} | step | {whole * 1e3:.0f} ({found['alone'] * 1e3:.0f} unprofiled) | 1.00 | {reached} |")


def main() -> None:
    match sys.argv[1:]:
        case ["run", width]:
            print(json.dumps(measure(int(width))))
        case wanted:
            width = int(wanted[0]) if wanted else 512
            print(f"A step of width {width}, native kernels, fp32, one thread\n")
            print("| instructions | part | ms | of the step | of sgemm |\n|---|---|---|---|---|")
            for instructions in ("avx2", "amx"):
                numerics = Numerics.model_validate({"instruction_set": instructions})
                table(instructions, child("profile_step", "run", width, numerics=numerics))


if __name__ == "__main__":
    main()
