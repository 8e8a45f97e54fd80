"""Losses of a linear head by chunks beside the naive form that holds all logits: time, extra memory, gradients.

python -m bench.linear_losses

Time: both forms turn about in one process, with one thread and with two; the ratio is the median over the pairs, with
its range. Memory: each form alone in a fresh process, once, after a small call has loaded what torch loads; extra is
the peak of resident memory (VmHWM, reset through /proc/self/clear_refs) less what was resident before the call. It
holds the gradients of features and head, which both forms must return.
Gradients: the largest difference between the forms, as it is and divided by the largest magnitude of that gradient;
then how far each form is from fp64 in the same measure, on the first CHECKED positions.
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

from bench.memory import extra_memory
from engine.kernels.linear_cross_entropy import linear_cross_entropy
from engine.kernels.linear_distillation import linear_distillation
from engine.kernels.spec import ChunkedLoss

VOCABULARY, POSITIONS, WIDTH, PAIRS = 32000, 2048, 768, 5
CHECKED = 256
BACKEND = ChunkedLoss(kind="chunked")
Inputs = dict[str, Tensor]


def inputs(positions: int, vocabulary: int) -> Inputs:
    """Features of unit variance and heads that give logits of unit variance."""
    drawn = torch.Generator().manual_seed(0)
    x, teacher = (torch.randn(positions, WIDTH, generator=drawn) for _ in range(2))
    head, teacher_head = (torch.randn(vocabulary, WIDTH, generator=drawn) / WIDTH**0.5 for _ in range(2))
    targets = torch.randint(vocabulary, (positions,), generator=drawn)
    return {"x": x, "head": head, "targets": targets, "teacher": teacher, "teacher_head": teacher_head}


def naive_cross_entropy(of: Inputs) -> Tensor:
    return F.cross_entropy(F.linear(of["x"], of["head"]), of["targets"])


def naive_distillation(of: Inputs) -> Tensor:
    with torch.no_grad():
        p = F.linear(of["teacher"], of["teacher_head"]).softmax(-1)
    return -(p * F.linear(of["x"], of["head"]).log_softmax(-1)).sum(-1).mean()


def chunked_cross_entropy(of: Inputs) -> Tensor:
    return linear_cross_entropy(of["x"], of["head"], of["targets"], 1.0, backend=BACKEND)


def chunked_distillation(of: Inputs) -> Tensor:
    return linear_distillation(of["x"], of["head"], 1.0, of["teacher"], of["teacher_head"], 1.0, backend=BACKEND)


FORMS: dict[str, tuple[Callable[[Inputs], Tensor], Callable[[Inputs], Tensor]]] = {
    "linear_cross_entropy": (naive_cross_entropy, chunked_cross_entropy),
    "linear_distillation": (naive_distillation, chunked_distillation),
}


def step(form: Callable[[Inputs], Tensor], of: Inputs) -> tuple[float, Tensor, Tensor]:
    """Seconds of a forward and backward pass, and the gradients of features and head."""
    learned = of | {name: of[name].detach().requires_grad_() for name in ("x", "head")}
    began = time.perf_counter()
    form(learned).backward()
    seconds = time.perf_counter() - began
    dx, dhead = learned["x"].grad, learned["head"].grad
    assert dx is not None
    assert dhead is not None
    return seconds, dx, dhead


def own_memory(op: str, side: int) -> int:
    """Bytes of one step in this process."""
    form = FORMS[op][side]
    step(form, inputs(64, 1000))
    of = inputs(POSITIONS, VOCABULARY)
    return extra_memory(lambda: step(form, of))


def measured_memory(op: str, side: int, threads: int) -> int:
    """Bytes of one step in a fresh process."""
    command = [sys.executable, "-m", "bench.linear_losses", op, str(side), str(threads)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, **of_threads(threads)}
    )
    return int(json.loads(done.stdout.splitlines()[-1]))


def of_threads(threads: int) -> dict[str, str]:
    return {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}


def away(ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...]) -> tuple[float, float]:
    """The largest difference, and the largest in parts of its gradient's magnitude."""
    apart = [((a - b).abs().max().item(), b.abs().max().item()) for a, b in zip(ours, theirs, strict=True)]
    return max(difference for difference, _ in apart), max(difference / largest for difference, largest in apart)


def from_fp64(op: str, of: Inputs) -> list[float]:
    """How far the gradients of the naive and the chunked form are from the naive form in fp64."""
    few = {name: x if name.endswith("head") else x[:CHECKED] for name, x in of.items()}
    wide = {name: x.double() if x.is_floating_point() else x for name, x in few.items()}
    true = step(FORMS[op][0], wide)[1:]
    return [away(tuple(g.double() for g in step(form, few)[1:]), true)[1] for form in FORMS[op]]


def row(op: str, threads: int) -> str:
    """One line of the table."""
    naive, chunked = FORMS[op]
    torch.set_num_threads(threads)
    of, ratios, seconds, differences = inputs(POSITIONS, VOCABULARY), [], [], []
    for pair in range(PAIRS):
        order = (naive, chunked) if pair % 2 == 0 else (chunked, naive)
        found = {form: step(form, of) for form in order}
        ratios.append(found[chunked][0] / found[naive][0])
        seconds.append(found[chunked][0])
        differences.append(away(found[chunked][1:], found[naive][1:]))
    memory = [measured_memory(op, side, threads) / 2**20 for side in (0, 1)]
    absolute, relative = (max(kind) for kind in zip(*differences, strict=True))
    distant = from_fp64(op, of)
    return (
        f"| {op} | {threads} | {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) | {min(seconds):.2f} s "
        f"| {memory[1] / memory[0]:.3f} | {memory[1]:,.0f} of {memory[0]:,.0f} MiB | {absolute:.1e}, {relative:.1e} "
        f"| {distant[1]:.1e}, {distant[0]:.1e} |"
    )


def main() -> None:
    if sys.argv[1:]:
        op, side, threads = sys.argv[1:]
        torch.set_num_threads(int(threads))
        print(json.dumps(own_memory(op, int(side))))
        return
    print(f"{POSITIONS} positions, width {WIDTH}, vocabulary {VOCABULARY}, {BACKEND.tokens} positions a chunk, fp32\n")
    print(
        "| op | threads | time, of naive | least time | extra memory, of naive | extra memory | gradients differ by "
        "| from fp64: chunked, naive |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for threads in (1, 2):
        for op in FORMS:
            print(row(op, threads), flush=True)


if __name__ == "__main__":
    main()
