"""Tokens a second of a training step: the engine's loop under DeepSpeed beside a plain torch loop with transformers.

Both train the quickstart's model on the same rows with one thread in the same closed environment, one after the other.
Prints both rates, their ratio, and the seconds from start to the first step.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from engine.artifacts.draft import Draft
from engine.artifacts.environment import closed_environment
from engine.artifacts.observation import OBSERVED
from engine.compile.deepspeed import deepspeed_config
from engine.models.huggingface import config_of
from engine.models.spec import Llama
from engine.spec.numerics import Numerics
from engine.train.run import run_train
from engine.train.spec import Batch, Checkpoints, TrainPlan
from tests.train import toy

MODEL = Llama(
    kind="llama", vocabulary=4096, layers=5, width=192, heads=6, kv_heads=6, mlp=512, context=256, tied=True
)  # fmt: skip
ROWS, ROW_TOKENS, STEPS = 4, 256, 30


def rows() -> np.ndarray:
    """Ids of all steps, drawn evenly."""
    return np.random.Generator(np.random.Philox(1)).integers(0, 4096, (STEPS * ROWS, ROW_TOKENS)).astype(np.uint16)


def plan() -> TrainPlan:
    """The toy's plan with the quickstart's sizes."""
    wide = toy.plan(steps=STEPS).replace(
        model=MODEL,
        batch=Batch(rows=ROWS, micro_rows=ROWS),
        row_tokens=ROW_TOKENS,
        micro_batches=1,
        tokens_per_step=ROWS * ROW_TOKENS,
        checkpoints=Checkpoints(every_steps=STEPS),
    )
    return wide.replace(deepspeed=deepspeed_config(wide, 1))


def ours(folder: Path) -> None:
    """The engine's own report of a run through DeepSpeed's launcher."""
    pack = Draft(folder / "pack")
    with pack.array("rows", "ids", np.dtype(np.uint16), (ROW_TOKENS,)) as ids:
        ids.write(rows())
    with pack.array("rows", "order", np.dtype(np.int64), ()) as order:
        order.write(np.arange(STEPS * ROWS))
    pack.close("rows")
    out = folder / "out"
    out.mkdir()
    began = time.perf_counter()
    run_train(plan(), toy.inputs(folder / "pack"), Draft(out), toy.placement(folder))
    whole = time.perf_counter() - began
    observed = json.loads((out / OBSERVED).read_text())
    around = whole - STEPS * observed["seconds_per_step"]
    report("facsimile", observed["seconds_per_step"], around, observed["peak_bytes"])


def theirs(folder: Path) -> None:
    """transformers' model and torch's AdamW in a bare loop."""
    assert folder.is_dir()
    began = time.perf_counter()
    model = LlamaForCausalLM(LlamaConfig(**config_of(MODEL, end_id=2))).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, foreach=True)
    batches = torch.split(torch.from_numpy(rows().astype(np.int64)), ROWS)
    ready = time.perf_counter()
    for ids in batches:
        model(input_ids=ids, labels=ids).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    report("torch", (time.perf_counter() - ready) / STEPS, ready - began, 0)


def report(who: str, seconds_per_step: float, around: float, peak: int) -> None:
    """One line of JSON for the parent."""
    rate = ROWS * ROW_TOKENS / seconds_per_step
    print(json.dumps({"who": who, "tokens_per_second": rate, "seconds_around": around, "peak_bytes": peak}), flush=True)


def measured(who: str) -> dict[str, float]:
    """Runs one side in a process with a closed environment."""
    environment = closed_environment(Numerics(), {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path.cwd())})
    command = [sys.executable, "-m", "bench.training", who]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    if len(sys.argv) > 1:
        with tempfile.TemporaryDirectory() as folder:
            {"ours": ours, "theirs": theirs}[sys.argv[1]](Path(folder))
        return
    results = [(measured("ours"), measured("theirs")) for _ in range(3)]
    mine, other = (max(pair[i]["tokens_per_second"] for pair in results) for i in (0, 1))
    print(f"best of {len(results)}: facsimile {mine:,.0f} tokens/s, torch {other:,.0f}: ratio {mine / other:.2f}")
    print(f"start, launch and checkpoints around the steps: {min(r[0]['seconds_around'] for r in results):.1f} s")
    print(f"peak memory of the rank: {results[0][0]['peak_bytes'] / 2**20:,.0f} MiB")


if __name__ == "__main__":
    main()
