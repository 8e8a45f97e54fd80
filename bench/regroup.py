"""A step under `regroup` beside DeepSpeed's own under `repeat`, by ZeRO stage, two ranks of one thread each.

    python -m bench.regroup [STEPS]

Both levels run the same loop in the same four processes, turn about; a row is the median over the turns. The first step
of a run under `regroup` is computed twice, and counts. `sent` is what a rank gives to collectives in a step, beside the
bytes of all gradients in fp32.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np

from engine.artifacts.draft import Draft
from engine.artifacts.environment import closed_environment
from engine.artifacts.observation import OBSERVED
from engine.compile.estimate import parameters
from engine.kernels.spec import ChunkedLoss, Kernels
from engine.models.spec import Llama
from engine.spec.layout import Determinism, Layout
from engine.spec.numerics import Numerics
from engine.spec.philox import generator
from engine.train.deepspeed import deepspeed_config
from engine.train.job import Job
from engine.train.spec import Batch, Checkpoints, TrainPlan
from tests.train import toy
from tests.train.group import SENT, run_group

ROWS, MICRO_ROWS, TOKENS, TURNS = 8, 2, 256, 3
MODEL = Llama(
    kind="llama", vocabulary=4096, layers=5, width=192, heads=6, kv_heads=6, mlp=512, context=TOKENS, tied=True
)
NATIVE = Kernels(
    norm="native", rotary="native", gate="native", adamw="native", linear_cross_entropy=ChunkedLoss(kind="chunked")
)


def plan(level: Determinism, layout: Layout, steps: int) -> TrainPlan:
    batch = Batch(rows=ROWS, micro_rows=MICRO_ROWS)
    own = layout if level == "repeat" else None
    return toy.plan(own, level=level, steps=steps).replace(
        model=MODEL, kernels=NATIVE, batch=batch, row_tokens=TOKENS, micro_batches=ROWS // MICRO_ROWS,
        tokens_per_step=ROWS * TOKENS, checkpoints=Checkpoints(every_steps=steps),
        deepspeed=deepspeed_config(batch, layout) if own else {},
    )  # fmt: skip


def write_rows(folder: Path, steps: int) -> None:
    """Rows of words that repeat, so that there is something to learn."""
    stream = generator(1, "bench", "rows")
    words = (stream.raw(64 * 4) % np.uint64(4096)).reshape(64, 4)
    rows = words[(stream.raw(ROWS * steps * TOKENS // 4) % np.uint64(64)).astype(np.int64)].reshape(-1, TOKENS)
    pack = Draft(folder)
    with pack.array("rows", "ids", np.dtype(np.uint16), (TOKENS,)) as ids:
        ids.write(rows.astype(np.uint16))
    for name, values in (("order", np.arange(len(rows))), ("chunks", np.array([0, len(rows)]))):
        with pack.array("rows", name, np.dtype(np.int64), ()) as array:
            array.write(values.astype(np.int64))
    pack.close("rows")


def main(steps: int) -> None:
    os.environ.update(closed_environment(Numerics(), os.environ))
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_rows(root / "pack", steps)
        cells = {
            f"{level}-{zero}-{turn}": (level, Layout(world=2, zero=zero))
            for turn in range(TURNS)
            for zero in (0, 1, 2, 3)
            for level in ("repeat", "regroup")
            if (level, zero) != ("repeat", 3)
        }
        jobs = {}
        for cell, (level, layout) in cells.items():
            stage, rows = plan(level, layout, steps), str(root / "pack" / "rows")  # type: ignore[arg-type]
            out = str(root / cell)
            jobs[cell] = (Job(stage=stage, layout=layout, rows=rows, checkpoint="", written=False, out=out), 0)
        run_group(root, jobs)
        seen = {cell: json.loads((root / cell / OBSERVED).read_text()) for cell in cells}
        sent = {cell: json.loads((root / cell / f".{SENT}").read_text())[-1] for cell in cells}
    gradients = 4 * parameters(MODEL)
    print(f"{'ZeRO':<6}{'repeat s':>10}{'regroup s':>11}{'ratio':>8}{'computed twice':>16}{'sent / gradients':>18}")
    for zero in (0, 1, 2, 3):
        own = [seen[f"regroup-{zero}-{turn}"] for turn in range(TURNS)]
        ours = median(one["seconds_per_step"] for one in own)
        theirs = median(seen[f"repeat-{zero}-{turn}"]["seconds_per_step"] for turn in range(TURNS)) if zero < 3 else 0.0
        ratio = f"{ours / theirs:.2f}" if theirs else ""
        twice = f"{own[0]['recomputed_steps']} of {steps}"
        share = f"{sent[f'regroup-{zero}-0'] / gradients:.2f}"
        print(f"{zero:<6}{theirs:>10.3f}{ours:>11.3f}{ratio:>8}{twice:>16}{share:>18}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
