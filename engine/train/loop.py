"""The training loop: load, step, log, save. DeepSpeed drives forward, backward and update."""

import math
import resource
import time
from pathlib import Path
from typing import Any, assert_never

import deepspeed
import torch
from deepspeed import DeepSpeedEngine, comm
from torch import nn

from engine.artifacts import disk, environment
from engine.artifacts.draft import Draft
from engine.artifacts.observation import OBSERVED
from engine.kernels import record
from engine.models.build import build, load_weights
from engine.models.rates import rate_scales
from engine.spec.canonical import plain, pretty
from engine.spec.errors import ArtifactError
from engine.spec.layout import Layout
from engine.train import checkpoint, partition
from engine.train.checkpoint import Checkpoint, State
from engine.train.course import Course
from engine.train.data import Ids, batch_digest
from engine.train.deepspeed import deepspeed_config
from engine.train.gradients import Gradients
from engine.train.job import Job, Observed
from engine.train.keeper import Keeper
from engine.train.objective import Objective
from engine.train.optimizer import StepOptimizer
from engine.train.optimizers.adamw import AdamWOptimizer
from engine.train.recompute import recompute
from engine.train.regroup.edges import group_by_module
from engine.train.regroup.step import Regrouped
from engine.train.repeat import Repeated
from engine.train.spec import AdamW, FromWeights, TrainPlan
from engine.train.steplog import Step, StepLog


def train(job: Job) -> None:
    """Runs a job to its last step; every rank calls it. Rank 0 writes the log and the checkpoints."""
    began = time.perf_counter()
    stage, out = job.stage, Draft(Path(job.out))
    check_numerics(stage)
    record.forget()
    at = starting(job)
    engine, optimizer = start(stage, job.layout, at)
    gradients = gradients_of(engine, stage, job.layout, at.state)
    log = StepLog(out.folder)
    keeper = Keeper(stage, out, log, engine, optimizer, job.parent)
    if not job.written:
        keeper.save(at.state)
    course, ready, done = Course(stage, Path(job.rows), at.state), time.perf_counter(), 0
    while course.step < (job.last or stage.steps):
        loss, norm, lr, ids_BT = update(engine, optimizer, gradients, stage, course)
        done += 1
        if comm.get_rank() == 0:
            log.write(logged(course.step, loss, norm, lr, course.step * stage.batch.rows, ids_BT))
        if course.see(loss):
            course = Course(stage, Path(job.rows), keeper.take_back(course.events, gradients))
        elif course.step in keeper.steps:
            record.check_declared(stage.kernels)
            keeper.save(course.state(gradients.state(), at.state))
    keeper.close()
    log.close()
    observe(stage, out, began, ready, done, gradients.recomputed)
    engine.destroy()


def starting(job: Job) -> Checkpoint:
    """The state that a job starts from: drawn, or that of a checkpoint, or of its weights alone."""
    optimizer = job.stage.optimizer
    if not job.checkpoint:
        return checkpoint.initial(job.stage)
    match job.stage.start:
        case FromWeights(moments=moments) if job.new_stage:
            return checkpoint.new_stage(Path(job.checkpoint), optimizer, moments)
        case _:
            return checkpoint.read(Path(job.checkpoint), optimizer)


def start(stage: TrainPlan, layout: Layout, at: Checkpoint) -> tuple[DeepSpeedEngine, StepOptimizer]:
    """DeepSpeed's engine and our optimizer, in the state of a checkpoint."""
    model = build(stage.model, stage.kernels)
    load_weights(model, at.weights, f"the checkpoint of step {at.state.step}")
    optimizer = optimizer_of(model, stage)
    config: dict[str, Any]
    match stage.determinism:
        case "repeat":
            config = dict(stage.deepspeed)
        case "regroup":
            config = dict(deepspeed_config(stage.batch, layout))
            group_by_module(model)
        case _:
            assert_never(stage.determinism)
    match layout.activations:
        case "keep":
            pass
        case "recompute":
            recompute(model)
        case _:
            assert_never(layout.activations)
    module = Objective(model, stage.objective, stage.kernels)
    assert config["gradient_clipping"] == 0.0, "the loop clips by its own norm; DeepSpeed must not clip again"
    engine, *_ = deepspeed.initialize(model=module, optimizer=optimizer, config=config)
    partition.load_moments(engine, optimizer, at.moments)
    engine.train()
    return engine, optimizer


def optimizer_of(model: nn.Module, stage: TrainPlan) -> StepOptimizer:
    """The update that the spec names, before its first step."""
    match stage.optimizer:
        case AdamW():
            rates, moments = rate_scales(stage.model), checkpoint.moment_names(stage.optimizer)
            return AdamWOptimizer(model, stage.optimizer, rates, moments, stage.kernels.adamw)
        case _:
            assert_never(stage.optimizer)


def gradients_of(engine: DeepSpeedEngine, stage: TrainPlan, layout: Layout, begin: State) -> Gradients:
    """How the gradients of micro-batches become one, at the level that the spec declares."""
    match stage.determinism:
        case "repeat":
            return Repeated(engine)
        case "regroup":
            return Regrouped(engine, stage.micro_batches, layout, begin.exponents)
        case _:
            assert_never(stage.determinism)


def update(
    engine: DeepSpeedEngine, optimizer: StepOptimizer, gradients: Gradients, stage: TrainPlan, course: Course
) -> tuple[float, float, float, Ids]:
    """The next step: mean loss of all micro-batches, gradient norm before clipping, learning rate, the batch."""
    step, ids_BT = course.next()
    lr, clip = course.rate(), course.clip()
    losses, norm = gradients.backward(torch.split(torch.from_numpy(ids_BT), stage.batch.micro_rows))
    check_finite(step, losses, norm)
    optimizer.prepare(step, lr, min(1.0, clip / (norm + 1e-6)))
    engine.step()
    return sum(losses, 0.0) / len(losses), norm, lr, ids_BT


def check_finite(step: int, losses: list[float], norm: float) -> None:
    """Stops a run that has diverged, before the update that would spoil its weights."""
    if not all(math.isfinite(number) for number in (*losses, norm)):
        raise ArtifactError(
            f"step {step}: loss {losses} and gradient norm {norm} are not finite: the run has diverged; "
            "checkpoints before this step are whole. Lower optimizer.lr or look at this step's rows"
        )


def logged(step: int, loss: float, norm: float, lr: float, rows_seen: int, ids_BT: Ids) -> Step:
    """The log's record of a step."""
    return Step(
        step=step,
        loss=loss,
        loss_hex=loss.hex(),
        grad_norm=norm,
        grad_norm_hex=norm.hex(),
        lr=lr,
        rows_seen=rows_seen,
        batch=batch_digest(ids_BT),
    )


def check_numerics(stage: TrainPlan) -> None:
    """Makes torch deterministic, and refuses to train when what took effect is not what the plan says."""
    odd = environment.not_in_effect(stage.numerics, environment.effective())
    if odd:
        raise ArtifactError(f"{', '.join(odd)}: start training through `facsimile run`, which closes the environment")
    torch.use_deterministic_algorithms(True)


def observe(stage: TrainPlan, out: Draft, began: float, ready: float, steps: int, recomputed: int) -> None:
    """Writes the cost of the run beside the outputs, from rank 0."""
    if comm.get_rank() != 0:
        return
    seconds = time.perf_counter() - ready
    observed = Observed(
        tokens_per_second=round(steps * stage.tokens_per_step / seconds, 1),
        seconds_per_step=round(seconds / max(steps, 1), 4),
        start_up_seconds=round(ready - began, 2),
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        world=comm.get_world_size(),
        recomputed_steps=recomputed,
        kernels=plain(record.record()),
        numerics=environment.effective(),
    )
    disk.write_whole(out.folder / OBSERVED, pretty(observed))
