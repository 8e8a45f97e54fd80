"""The training step beside plain transformers with torch's AdamW, both in one process and turn about, by setting.

    python -m bench.training [256 | 512 | deepspeed]

Every case is the whole step: forward, backward, norm and clipping, update. Each process has one instruction set and one
number of threads, for both sides alike, set by the engine's closed environment. The last column is 6 x parameters x
tokens / time over the rate of a 2048 x 2048 x 2048 fp32 product, measured in the same turns. 256 and 512 are the width
of the model; `deepspeed` sets the engine's loop under DeepSpeed, with its logs and checkpoints, beside the plain loop,
in processes of their own. Without an argument, all three, one after another.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from engine.artifacts.draft import Draft
from engine.artifacts.environment import closed_environment, effective, not_in_effect
from engine.artifacts.observation import OBSERVED
from engine.kernels.spec import ChunkedLoss, Kernels
from engine.models.build import build, load_weights
from engine.models.huggingface import config_of
from engine.models.init import initial_weights
from engine.models.rates import rate_scales
from engine.models.spec import Llama
from engine.spec.numerics import Numerics
from engine.train.checkpoint import moment_names
from engine.train.deepspeed import deepspeed_config
from engine.train.objective import Objective
from engine.train.optimizers.adamw import AdamWOptimizer
from engine.train.run import run_train
from engine.train.spec import AdamW, Batch, Checkpoints, Cosine, NextToken, TrainPlan
from tests.train import toy

ROWS, TOKENS, TURNS = 8, 256, 5
ADAMW = AdamW(
    kind="adamw", lr=Cosine(kind="cosine", peak=1e-3, floor=1e-4, warmup_steps=1), betas=(0.9, 0.95), weight_decay=0.1,
    clip=1.0,
)  # fmt: skip
NATIVE = Kernels(
    norm="native", rotary="native", gate="native", adamw="native", linear_cross_entropy=ChunkedLoss(kind="chunked")
)
SETTINGS = {
    "reference": Kernels(),
    "native": NATIVE,
    "inductor": Kernels(adamw="native", linear_cross_entropy=ChunkedLoss(kind="chunked"), graph="inductor"),
    "native bf16": NATIVE.replace(products="bf16"),
    "inductor bf16": Kernels(
        adamw="native", linear_cross_entropy=ChunkedLoss(kind="chunked"), graph="inductor", products="bf16"
    ),
}
RUNS = (
    ("avx2", 1, 256, "reference,native,inductor"),
    ("amx", 1, 256, "reference,native,inductor,native bf16,inductor bf16"),
    ("amx", 2, 256, "reference,native,inductor,native bf16,inductor bf16"),
    ("avx2", 1, 512, "native"),
    ("amx", 1, 512, "native,inductor"),
)
Step = Callable[[], None]


def model_of(width: int) -> Llama:
    """Six layers; heads of 64."""
    heads, mlp = width // 64, {256: 704, 512: 1408}[width]
    return Llama(
        kind="llama", vocabulary=4096, layers=6, width=width, heads=heads, kv_heads=heads, mlp=mlp, context=TOKENS,
        tied=True,
    )  # fmt: skip


def batch() -> torch.Tensor:
    """ids_BT, drawn evenly."""
    drawn = np.random.Generator(np.random.Philox(1)).integers(0, 4096, (ROWS, TOKENS))
    return torch.from_numpy(drawn)


def plain(model: Llama) -> Step:
    """transformers' model and torch's AdamW."""
    theirs = LlamaForCausalLM(LlamaConfig(**config_of(model, end_id=2))).train()
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, foreach=True)
    ids_BT = batch()

    def step() -> None:
        theirs(input_ids=ids_BT, labels=ids_BT).loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def ours(model: Llama, kernels: Kernels) -> Step:
    """The engine's objective, norm and update, as the loop calls them."""
    module = build(model, kernels)
    load_weights(module, initial_weights(model, 1), "the bench")
    objective = Objective(module, NextToken(kind="next_token"), kernels)
    optimizer = AdamWOptimizer(module, ADAMW, rate_scales(model), moment_names(ADAMW), kernels.adamw)
    ids_BT, count = batch(), iter(range(1, 1000))

    def step() -> None:
        objective(ids_BT)["next_token"].backward()
        norms = [torch.linalg.vector_norm(p.grad, dtype=torch.float64).item() for p in module.parameters()]
        norm = sum(n * n for n in norms) ** 0.5
        optimizer.prepare(next(count), 1e-3, min(1.0, 1.0 / (norm + 1e-6)))
        optimizer.step()
        optimizer.zero_grad()

    return step


def paired(width: int, names: list[str]) -> dict[str, Any]:
    """Seconds of each case, turn about, and the rate of the large product."""
    model = model_of(width)
    square = torch.ones(2048, 2048)
    cases: dict[str, Step] = {"product": lambda: void(torch.mm(square, square)), "plain": plain(model)}
    for name in names:
        cases[name] = ours(model, SETTINGS[name])
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(TURNS + 1):
        for name, step in cases.items():
            began = time.perf_counter()
            step()
            if turn:  # the first compiles and warms up
                seconds[name].append(time.perf_counter() - began)
    parameters = sum(w.size for w in initial_weights(model, 1).values())
    return {"seconds": seconds, "flop": 6 * parameters * ROWS * TOKENS}


def void(_: torch.Tensor) -> None:
    """Drops a result."""


def measure(instructions: str, threads: int, width: int, names: str) -> None:
    """One process's part: prints its numbers as JSON."""
    numerics = Numerics.model_validate({"instruction_set": instructions, "threads": threads})
    odd = not_in_effect(numerics, effective())
    assert not odd, odd
    print(json.dumps(paired(width, names.split(","))))


def rows_of(found: dict[str, Any], head: str) -> list[str]:
    """Table rows: the median of the ratios of neighbours in time, their spread, and the fraction of the product."""
    seconds = found["seconds"]
    rate = 2 * 2048**3 / min(seconds["product"])
    lines = []
    for name, own in seconds.items():
        if name == "product":
            continue
        ratios = sorted(a / b for a, b in zip(seconds["plain"], own, strict=True))
        spread = f"{median(ratios):.2f} ({ratios[1]:.2f} to {ratios[-2]:.2f})"
        of_product = found["flop"] / median(own) / rate
        lines.append(f"| {head} | {name} | {median(own) * 1e3:.0f} | {spread} | {of_product:.2f} |")
    return lines


def child(bench: str, *arguments: object, numerics: Numerics) -> Any:
    """A process of a bench in a closed environment; what its last line says."""
    base = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path.cwd()), "HOME": str(Path.home())}
    command = [sys.executable, "-W", "ignore", "-m", f"bench.{bench}", *map(str, arguments)]
    done = subprocess.run(command, env=closed_environment(numerics, base), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


DEEPSPEED_STEPS = 12


def plan() -> TrainPlan:
    """The toy's plan with the sizes of the first table."""
    sizes = toy.plan(steps=DEEPSPEED_STEPS).replace(
        model=model_of(256), kernels=NATIVE, batch=Batch(rows=ROWS, micro_rows=ROWS), row_tokens=TOKENS,
        micro_batches=1, tokens_per_step=ROWS * TOKENS, checkpoints=Checkpoints(every_steps=DEEPSPEED_STEPS),
    )  # fmt: skip
    assert sizes.layout is not None
    return sizes.replace(deepspeed=deepspeed_config(sizes.batch, sizes.layout))


def under_deepspeed(folder: Path) -> None:
    """The engine's own report of a run through DeepSpeed's launcher."""
    pack = Draft(folder / "pack")
    with pack.array("rows", "ids", np.dtype(np.uint16), (TOKENS,)) as ids:
        ids.write(np.tile(batch().numpy().astype(np.uint16), (DEEPSPEED_STEPS, 1)))
    with pack.array("rows", "order", np.dtype(np.int64), ()) as order:
        order.write(np.arange(DEEPSPEED_STEPS * ROWS))
    with pack.array("rows", "chunks", np.dtype(np.int64), ()) as chunks:
        chunks.write(np.array([0, DEEPSPEED_STEPS * ROWS], np.int64))
    pack.close("rows")
    out = folder / "out"
    out.mkdir()
    run_train(plan(), toy.inputs(folder / "pack"), Draft(out), toy.placement(folder))
    print(json.dumps(json.loads((out / OBSERVED).read_text())))


def deepspeed_table() -> None:
    """The loop with everything round it, native kernels, one thread."""
    observed = child("training", "run", "deepspeed", numerics=Numerics())
    alone = child("training", "run", "avx2", 1, 256, "native", numerics=Numerics())["seconds"]
    print("\n| avx2, 1 thread, width 256 | tokens/s | of plain |\n| --- | --- | --- |")
    for name in ("plain", "native"):
        own = median(alone[name])
        print(f"| {name} | {ROWS * TOKENS / own:,.0f} | {median(alone['plain']) / own:.2f} |")
    rate = observed["tokens_per_second"]
    print(f"| native under DeepSpeed ZeRO 0, logs and checkpoints | {rate:,.0f} |", end=" ")
    print(f"{rate * median(alone['plain']) / ROWS / TOKENS:.2f} |")
    print(f"\nStart-up {observed['start_up_seconds']} s, peak memory {observed['peak_bytes'] / 2**20:,.0f} MiB.")


def step_table(width: int) -> None:
    """All settings of one width."""
    print("| instructions, threads, width | case | ms a step | times plain (range) | of sgemm |\n" + "| --- " * 5 + "|")
    for instructions, threads, _, names in (run for run in RUNS if run[2] == width):
        numerics = Numerics.model_validate({"instruction_set": instructions, "threads": threads})
        found = child("training", "run", instructions, threads, width, names, numerics=numerics)
        print("\n".join(rows_of(found, f"{instructions}, {threads}, {width}")), flush=True)


def main() -> None:
    match sys.argv[1:]:
        case ["run", "deepspeed"]:
            with tempfile.TemporaryDirectory() as folder:
                under_deepspeed(Path(folder))
        case ["run", instructions, threads, width, names]:
            measure(instructions, int(threads), int(width), names)
        case wanted:
            for width in (256, 512):
                if not wanted or str(width) in wanted:
                    step_table(width)
            if not wanted or "deepspeed" in wanted:
                deepspeed_table()


if __name__ == "__main__":
    main()
