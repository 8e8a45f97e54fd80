"""The training loop: load, step, log, save. DeepSpeed drives forward, backward and update."""

import math
import resource
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, assert_never

import deepspeed
import torch
from deepspeed import DeepSpeedEngine, comm
from torch import Tensor, nn

from engine.artifacts import disk, environment
from engine.artifacts.draft import Draft
from engine.artifacts.observation import OBSERVED
from engine.kernels import record
from engine.models.build import build, load_weights
from engine.models.rates import rate_scales
from engine.spec.canonical import plain, pretty
from engine.spec.errors import ArtifactError
from engine.train import checkpoint, partition
from engine.train.checkpoint import Checkpoint, State
from engine.train.data import Ids, Rows, batch_digest
from engine.train.job import Job, Observed
from engine.train.objective import Objective
from engine.train.optimizer import StepOptimizer
from engine.train.optimizers.adamw import AdamWOptimizer
from engine.train.schedule import learning_rate
from engine.train.spec import AdamW, TrainPlan
from engine.train.steplog import Step, StepLog


def train(job: Job) -> None:
    """Runs a job to its last step; every rank calls it. Rank 0 writes the log and the checkpoints."""
    began = time.perf_counter()
    stage, out = job.stage, Draft(Path(job.out))
    check_numerics(stage)
    record.forget()
    at = checkpoint.read(Path(job.checkpoint), stage.optimizer) if job.checkpoint else checkpoint.initial(stage)
    engine, optimizer = start(stage, at)
    rows, log = Rows(Path(job.rows), stage.batch.rows), StepLog(out.folder)
    if not job.written:
        save(engine, optimizer, out, log, at.state)
    kept, ready = frozenset(stage.kept_steps()), time.perf_counter()
    for step in range(at.state.step + 1, stage.steps + 1):
        ids_BT = rows.batch(step)
        loss, norm, lr = update(engine, optimizer, stage, ids_BT, step)
        if comm.get_rank() == 0:
            log.write(logged(step, loss, norm, lr, step * stage.batch.rows, ids_BT))
        if step in kept:
            record.check_declared(stage.kernels)
            save(engine, optimizer, out, log, state_after(step, stage, out, at.state))
    log.close()
    observe(stage, out, began, ready, stage.steps - at.state.step)
    engine.destroy()


def start(stage: TrainPlan, at: Checkpoint) -> tuple[DeepSpeedEngine, StepOptimizer]:
    """DeepSpeed's engine and our optimizer, in the state of a checkpoint."""
    model = build(stage.model, stage.kernels)
    load_weights(model, at.weights, f"the checkpoint of step {at.state.step}")
    optimizer = optimizer_of(model, stage)
    module = Objective(model, stage.objective, stage.kernels)
    config: dict[str, Any] = dict(stage.deepspeed)
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


def update(
    engine: DeepSpeedEngine, optimizer: StepOptimizer, stage: TrainPlan, ids_BT: Ids, step: int
) -> tuple[float, float, float]:
    """One step over a batch: mean loss of all micro-batches, gradient norm before clipping, learning rate."""
    micro_batches = torch.split(torch.from_numpy(ids_BT), stage.batch.micro_rows)
    own = len(micro_batches) // comm.get_world_size()
    losses, norm, lr = [], 0.0, learning_rate(stage.optimizer.lr, step, stage.steps)
    for i, micro_BT in enumerate(micro_batches[comm.get_rank() * own :][:own]):
        loss = total_loss(engine(micro_BT))
        losses.append(loss.item())
        engine.backward(loss)
        if i == own - 1:
            norm = partition.gradient_norm(engine)
            check_finite(step, losses, norm)
            optimizer.prepare(step, lr, min(1.0, stage.optimizer.clip / (norm + 1e-6)))
        engine.step()
    return mean_over_ranks(losses), norm, lr


def total_loss(losses: Mapping[str, Tensor]) -> Tensor:
    """The loss of one micro-batch: the sum over the tasks of the objective."""
    first, *rest = losses.values()
    return sum(rest, first)


def mean_over_ranks(losses: list[float]) -> float:
    """The mean of all micro-batch losses, added in fp64 in the order of the batch."""
    own = torch.tensor(losses, dtype=torch.float64)
    gathered = [torch.empty_like(own) for _ in range(comm.get_world_size())]
    comm.all_gather(gathered, own)
    every = [loss for part in gathered for loss in part.tolist()]
    return sum(every, 0.0) / len(every)


def check_finite(step: int, losses: list[float], norm: float) -> None:
    """Stops a run that has diverged, before the update that would spoil its weights."""
    if not all(math.isfinite(number) for number in (*losses, norm)):
        raise ArtifactError(
            f"step {step}: loss {losses} and gradient norm {norm} are not finite: the run has diverged; "
            "checkpoints before this step are whole. Lower optimizer.lr or look at this step's rows"
        )


def save(engine: DeepSpeedEngine, optimizer: StepOptimizer, out: Draft, log: StepLog, state: State) -> None:
    """Gathers whole tensors on every rank; rank 0 writes the checkpoint, after the log of its steps is durable."""
    gathered = Checkpoint(partition.full_weights(engine), partition.full_moments(engine, optimizer), state)
    if comm.get_rank() == 0:
        log.sync()
        checkpoint.write(out, gathered)
    comm.barrier()


def state_after(step: int, stage: TrainPlan, out: Draft, begin: State) -> State:
    """The state at a kept step; its parent is the checkpoint kept before it."""
    before = max(kept for kept in stage.kept_steps() if kept < step)
    parent = out.outputs()[checkpoint.output_name(before)].digest
    return State(step=step, position=step * stage.batch.rows, parent=parent, generators=begin.generators)


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


def observe(stage: TrainPlan, out: Draft, began: float, ready: float, steps: int) -> None:
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
        kernels=plain(record.record()),
        numerics=environment.effective(),
    )
    disk.write_whole(out.folder / OBSERVED, pretty(observed))
