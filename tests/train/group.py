"""Four processes that stay, and run toy cells in the layout of each: ranks beyond a cell's world size wait."""

import gc
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import deepspeed
import torch.distributed
from deepspeed.comm import comm
from deepspeed.runtime.zero.parameter_offload import DeepSpeedZeRoOffload
from deepspeed.runtime.zero.partition_parameters import Init
from deepspeed.utils import groups
from torch import Tensor

from engine.artifacts.disk import writing
from engine.spec.canonical import pretty
from engine.train import loop
from engine.train.job import FAILURE, FAILURE_BYTES, Job
from engine.train.regroup import shared
from engine.train.regroup.sums import Sums

RANKS = 4
SENT = "sent.json"


class KilledError(Exception):
    """Raised in the middle of a step, on every rank."""


def main() -> None:
    """Runs cells in order: the arguments are a folder to meet in, what to break in the engine, and job files.

    A job file with `@K` behind it dies at step K.
    """
    rank, meeting, mutant = int(os.environ["RANK"]), Path(sys.argv[1]), sys.argv[2]
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    if mutant == "own-peaks":
        Sums.peaks_of_all = lambda self: tuple(torch.stack(p).abs().max().item() for p in self.extremes)
    for number, word in enumerate(sys.argv[3:]):
        path, _, dies = word.partition("@")
        job = Job.model_validate_json(Path(path).read_bytes())
        if rank < job.layout.world:
            join(rank, job.layout.world, meeting / str(number))
            cell(job, int(dies or 0))
            leave()


def cell(job: Job, dies: int) -> None:
    """One job; what rank 0 gave to collectives in each step, in bytes, is left in its folder."""
    sent: list[int] = []
    inside: list[bool] = []
    update, all_reduce, scatter = loop.update, comm.all_reduce, shared.reduce_scatter_tensor

    def counted(tensor: Tensor, *args: object, **named: object) -> object:
        if inside:
            sent[-1] += tensor.numel() * tensor.element_size()
        return all_reduce(tensor, *args, **named)

    def counted_scatter(into: Tensor, tensor: Tensor) -> object:
        if inside:
            sent[-1] += tensor.numel() * tensor.element_size()
        return scatter(into, tensor)

    def step(*args: object) -> object:
        if args[-1] == dies:
            raise KilledError
        sent.append(0)
        inside.append(True)
        try:
            return update(*args)
        finally:
            inside.clear()

    loop.update, loop.comm.all_reduce, shared.reduce_scatter_tensor = step, counted, counted_scatter
    try:
        with writing(Path(job.out)):
            loop.train(job)
    except KilledError:
        pass
    finally:
        loop.update, loop.comm.all_reduce, shared.reduce_scatter_tensor = update, all_reduce, scatter
    if os.environ["RANK"] == "0":
        (Path(job.out) / f".{SENT}").write_text(json.dumps(sent))


def join(rank: int, world: int, meeting: Path) -> None:
    """One process group for one cell."""
    os.environ.update(WORLD_SIZE=str(world), LOCAL_RANK=str(rank))
    torch.distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=world)
    deepspeed.init_distributed(dist_backend="gloo", verbose=False)


def leave() -> None:
    """DeepSpeed remembers groups in module variables; the next cell has others."""
    gc.collect()
    comm.destroy_process_group()
    comm.cdb = None
    Init.param_id = 0  # and the number of the next module, a default that DeepSpeed counts up
    DeepSpeedZeRoOffload._register_deepspeed_module.__defaults__[0][0] = 0
    for name, value in vars(groups).items():
        if (name.startswith("_") and name[1:2].isupper()) or isinstance(value, torch.distributed.ProcessGroup):
            setattr(groups, name, {} if isinstance(value, dict) else None)


def run_group(root: Path, jobs: Mapping[str, tuple[Job, int]], mutant: str = "") -> None:
    """Runs jobs by name, each with the step that it dies at or 0, in one group; raises where a rank fails."""
    meeting = root / "meeting"
    meeting.mkdir()
    words = []
    for job, dies in jobs.values():
        out = Path(job.out)
        out.mkdir(exist_ok=True)
        (out / FAILURE).write_bytes(b" " * FAILURE_BYTES)
        (out / ".job.json").write_text(pretty(job))
        words.append(f"{out / '.job.json'}@{dies or ''}")
    command = [sys.executable, "-m", "tests.train.group", str(meeting), mutant, *words]
    paths = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    ranks = []
    for rank in range(RANKS):
        with (root / f"rank{rank}.log").open("wb") as log:
            env = {**os.environ, "RANK": str(rank), "PYTHONPATH": paths}
            ranks.append(subprocess.Popen(command, env=env, stdout=log, stderr=log))
    codes = [rank.wait(900) for rank in ranks]
    if any(codes):
        bad = codes.index(next(filter(None, codes)))
        raise AssertionError(f"rank {bad} of {codes}: {(root / f'rank{bad}.log').read_text()[-3000:]}")
    meeting.rename(root / f"met-{len(list(root.glob('met-*')))}")


if __name__ == "__main__":
    main()
