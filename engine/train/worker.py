"""A rank of a training run: started by DeepSpeed's launcher, runs the jobs that its arguments name, one after another.

The launching process holds the other end of our standard input. When it is gone, for whatever reason, the pipe
closes and the rank ends: a killed run leaves no process behind.
"""

import os
import sys
import threading
from pathlib import Path

import deepspeed

from engine.artifacts.disk import writing
from engine.spec.errors import FacsimileError
from engine.train.job import FAILURE, FAILURE_BYTES, Job
from engine.train.loop import train

ORPHANED = 3


def main() -> None:
    """Runs every job file; a failure that is meant for people is left in the job's folder as text."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    # or DeepSpeed compiles its shared-memory sums for this host: half a minute, a compiler, and another order of adding
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(dist_backend="gloo", verbose=False)
    for path in sys.argv[1:]:
        job = Job.model_validate_json(Path(path).read_bytes())
        try:
            with writing(Path(job.out)):
                train(job)
        except FacsimileError as error:
            with (Path(job.out) / FAILURE).open("r+b") as failure:
                failure.write(str(error).encode("utf-8")[:FAILURE_BYTES])  # into its place: the disk may be full
            raise


def end_with_parent() -> None:
    """Waits for the end of standard input, then leaves at once."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(ORPHANED)


if __name__ == "__main__":
    main()
