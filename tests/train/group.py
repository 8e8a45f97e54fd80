"""Four processes that stay, and run toy cells in the layout of each: ranks beyond a cell's world size wait."""

import gc
import os
import sys
from pathlib import Path

import deepspeed
import torch.distributed
from deepspeed.comm import comm
from deepspeed.runtime.zero.parameter_offload import DeepSpeedZeRoOffload
from deepspeed.runtime.zero.partition_parameters import Init
from deepspeed.utils import groups

from engine.artifacts.disk import writing
from engine.train.job import Job
from engine.train.loop import train

RANKS = 4


def main() -> None:
    """Runs the jobs that the arguments after the first name, in order; the first is a folder to meet in."""
    rank, meeting = int(os.environ["RANK"]), Path(sys.argv[1])
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    for number, path in enumerate(sys.argv[2:]):
        job = Job.model_validate_json(Path(path).read_bytes())
        if rank < job.layout.world:
            join(rank, job.layout.world, meeting / str(number))
            with writing(Path(job.out)):
                train(job)
            leave()


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
        if name.startswith("_") and name[1:2].isupper() or isinstance(value, torch.distributed.ProcessGroup):
            setattr(groups, name, {} if isinstance(value, dict) else None)


if __name__ == "__main__":
    main()
