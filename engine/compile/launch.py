"""The SLURM script of an experiment that is too large for this machine: it repeats the stages by name, places nothing.

What bears identity stands in the spec; partition, account, time and number of devices are the cluster's, so they come
from sbatch's own options and the environment.
"""

import math
from pathlib import Path

from engine.compile.dvc import MARK, dvc_stage
from engine.compile.plan import Plan
from engine.compile.resolve import stage_of
from engine.compile.state import GIB, state_line
from engine.train.spec import Train

SUFFIX = ".sbatch"
HEADROOM = 1.25  # assumed: what the framework and fragmentation add to the memory that is counted


def sbatch(plan: Plan, root: Path) -> str:
    """The text of `<experiment>.sbatch`, which lies beside the spec."""
    folder = plan.files[0].parent.relative_to(root).as_posix()
    targets = [f"{folder}/dvc.yaml:{dvc_stage(plan.name, stage)}" for stage in last_stages(plan)]
    lines = [
        "#!/bin/bash",
        f"{MARK} from {plan.files[0].relative_to(root).as_posix()}; edits are refused by `facsimile compile --check`.",
        *([f"# {plan.experiment.about}"] if plan.experiment.about else []),
        f"# {state_line(plan)}",
        f"# Submit in the project's folder: sbatch {folder}/{plan.name}{SUFFIX}",
        "# Partition, account, time and devices: sbatch's options or SBATCH_*. FACSIMILE_MIRRORS: folders with files.",
        f"#SBATCH --job-name={plan.name}",
        f"#SBATCH --ntasks={most_ranks(plan)}",
        f"#SBATCH --mem={math.ceil(HEADROOM * most_bytes(plan) / GIB)}G",
        "set -euo pipefail",
        'cd "${FACSIMILE_PROJECT:-$SLURM_SUBMIT_DIR}"',
        'export FACSIMILE_MIRRORS="${FACSIMILE_MIRRORS:-}" FACSIMILE_WORKERS="${SLURM_CPUS_PER_TASK:-1}"',
        "facsimile compile --check",
        "dvc repro \\",
        " \\\n".join(f"  {target}" for target in targets),
    ]
    return "\n".join(lines) + "\n"


def last_stages(plan: Plan) -> tuple[str, ...]:
    """The stages that no other reads: DVC runs those that they need before them."""
    read = {stage_of(need) for run in plan.runs.values() for need in run.needs}
    return tuple(stage for stage in plan.stages() if stage not in read)


def most_ranks(plan: Plan) -> int:
    """The largest world size of a training stage."""
    return max((run.stage.layout.world for run in plan.runs.values() if isinstance(run.stage, Train)), default=1)


def most_bytes(plan: Plan) -> int:
    """The most memory that one rank needs."""
    return max(run.estimate.memory.total_bytes() or run.estimate.artifact_bytes for run in plan.runs.values())
