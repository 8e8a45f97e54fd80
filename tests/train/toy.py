"""A toy run: 2 layers of width 32, a vocabulary of 300, six steps of four rows, and random rows to train on."""

from pathlib import Path

import numpy as np
from pydantic import JsonValue

from engine.artifacts.draft import Draft
from engine.artifacts.manifest import Manifest, content_digest
from engine.artifacts.placement import Placement
from engine.artifacts.read import Input, Inputs
from engine.compile.estimate import parameters
from engine.kernels.spec import Kernels, NativeScan
from engine.models.spec import Alibi, AlibiGpt, FbiLinear, Llama, Mamba2, Model, MuP
from engine.spec.layout import Determinism, Layout
from engine.spec.numerics import Numerics
from engine.spec.philox import generator
from engine.spec.ref import Ref
from engine.train.deepspeed import deepspeed_config
from engine.train.run import run_train
from engine.train.spec import (
    AdamW,
    Batch,
    Checkpoints,
    Cosine,
    FromCheckpoint,
    FromScratch,
    NextToken,
    Train,
    TrainPlan,
)

ROW_TOKENS = 16
STEPS = 6
MODEL = Llama(kind="llama", vocabulary=300, layers=2, width=32, heads=4, kv_heads=2, mlp=48, context=16, tied=True)
ALIBI_GPT = AlibiGpt(
    kind="alibi_gpt", vocabulary=300, layers=2, width=32, heads=4, mlp=48, context=16, position=Alibi(kind="alibi"),
    mup=MuP(base_width=16),
)  # fmt: skip
MAMBA2 = Mamba2(
    kind="mamba2", vocabulary=300, layers=2, width=32, state=16, head_width=16, context=16, tied=True,
    linear=FbiLinear(kind="fbi"),
)  # fmt: skip
MAMBA2_KERNELS = Kernels(ssd_scan=NativeScan(kind="native", chunk=8), causal_conv="native")
CLIP = 0.5  # below the toy's gradient norms, so that every step is clipped


def plan(
    layout: Layout | None = None,
    start: str = "",
    every: int = 2,
    steps: int = STEPS,
    peak: float = 1e-2,
    model: Model = MODEL,
    level: Determinism = "repeat",
    micro_rows: int = 1,
) -> TrainPlan:
    """The toy's lowered stage; `start` names a checkpoint to resume from."""
    train = Train(
        kind="train",
        model=model,
        rows=Ref("rows@rows"),
        objective=NextToken(kind="next_token"),
        batch=Batch(rows=4, micro_rows=micro_rows),
        steps=steps,
        optimizer=AdamW(
            kind="adamw",
            lr=Cosine(kind="cosine", peak=peak, floor=peak / 10, warmup_steps=2),
            betas=(0.9, 0.95),
            weight_decay=0.1,
            clip=CLIP,
        ),
        layout=(layout or Layout()) if level == "repeat" else None,
        checkpoints=Checkpoints(every_steps=every),
        start=FromCheckpoint(kind="checkpoint", checkpoint=Ref(start)) if start else FromScratch(),
        seed=11,
    )
    fields = {name: getattr(train, name) for name in Train.model_fields}
    return TrainPlan(
        **fields,
        determinism=level,
        numerics=Numerics(),
        row_tokens=ROW_TOKENS,
        micro_batches=4 // micro_rows,
        tokens_per_step=4 * ROW_TOKENS,
        parameters=parameters(model),
        deepspeed=deepspeed_config(train.batch, train.layout) if train.layout else {},
    )


def write_rows(folder: Path, positions: int = 4 * STEPS, chunks: int = 1, poisoned: int = -1) -> None:
    """The output `rows` of a pack stage: ten distinct rows, dealt to positions; a poisoned chunk has ten others."""
    stream = generator(5, "toy", "rows")
    out = Draft(folder)
    with out.array("rows", "ids", np.dtype(np.uint16), (ROW_TOKENS,)) as ids:
        ids.write((stream.raw(10 * ROW_TOKENS) % np.uint64(300)).astype(np.uint16).reshape(10, ROW_TOKENS))
        dealt = (stream.raw(positions) % np.uint64(10)).astype(np.int64)
        ids.write((stream.raw(10 * ROW_TOKENS) % np.uint64(300)).astype(np.uint16).reshape(10, ROW_TOKENS))
    size = positions // chunks
    if poisoned >= 0:
        dealt[poisoned * size : (poisoned + 1) * size] += 10
    with out.array("rows", "order", np.dtype(np.int64), ()) as order:
        order.write(dealt)
    with out.array("rows", "chunks", np.dtype(np.int64), ()) as bounds:
        bounds.write(np.arange(0, positions + 1, size, dtype=np.int64))
    out.close("rows")


def inputs(rows: Path, checkpoint: tuple[str, Path] | None = None) -> Inputs:
    """The rows, and the checkpoint that a reference names in the draft of another run."""
    found = {"rows@rows": (given("rows@rows", rows),)}
    if checkpoint is not None:
        found[checkpoint[0]] = (given(*checkpoint),)
    return Inputs(found)


def given(ref: str, folder: Path) -> Input:
    """An output in a draft as an input."""
    output = ref.partition("@")[2]
    outputs = Draft(folder).outputs()
    manifest = Manifest(
        format=1, run="toy/x", recipe="0" * 64, code="0" * 64, content=content_digest(outputs, {}), stage={}, inputs={},
        outputs=outputs, metrics={},
    )  # fmt: skip
    return Input(ref, "toy/x", output, folder / output, outputs[output].digest, manifest)


def placement(folder: Path) -> Placement:
    """A project in a folder."""
    return Placement(folder, folder / "data" / "artifacts", folder / "data" / "sources", None)


def digests(folder: Path) -> dict[str, str]:
    """The content digest of every closed output of a draft."""
    return {name: output.digest for name, output in Draft(folder).outputs().items()}


def run(root: Path, steps: int = STEPS, peak: float = 1e-2) -> dict[str, JsonValue]:
    """Runs the toy from `pack` to `out` below a folder; gives its metrics."""
    stage = plan(steps=steps, peak=peak)
    return run_train(stage, inputs(root / "pack"), Draft(root / "out"), placement(root))
