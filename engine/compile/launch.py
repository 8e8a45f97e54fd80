"""The SLURM script of an experiment that is too large for this machine: it repeats the stages by name, places nothing.

What bears identity stands in the spec; partition, account, time and number of devices are the cluster's, so they come
from sbatch's own options and the environment. Stages that would refuse by their spec alone are told, not submitted.
"""

import math
import shlex
from pathlib import Path

from engine.compile.dvc import MARK, dvc_stage
from engine.compile.plan import Plan
from engine.compile.resolve import stage_of
from engine.compile.state import GIB, not_ready, refusals, state_line, wanting
from engine.train.spec import Train

SUFFIX = ".sbatch"
HEADROOM = 1.25  # assumed: what the framework and fragmentation add to the memory that is counted


def sbatch(plan: Plan, root: Path) -> str:
    """The text of `<experiment>.sbatch`, which lies beside the spec; it refuses where no weights can be imported."""
    folder = plan.files[0].parent.relative_to(root).as_posix()
    lines = [
        "#!/bin/bash",
        f"{MARK} from {plan.files[0].relative_to(root).as_posix()}; edits are refused by `facsimile compile --check`.",
        *([f"# {plan.experiment.about}"] if plan.experiment.about else []),
        f"# {state_line(plan)}",
        f"# Submit in the project's folder: sbatch {folder}/{plan.name}{SUFFIX}",
        "# Partition, account, time: sbatch's options or SBATCH_*. FACSIMILE_MIRRORS: folders with files.",
        f"# {devices(plan)}",
        f"#SBATCH --job-name={plan.name}",
        f"#SBATCH --ntasks={most_ranks(plan)}",
        f"#SBATCH --mem={math.ceil(HEADROOM * most_bytes(plan) / GIB)}G",
        "set -euo pipefail",
        *(refusal(plan) if not_ready(plan) else commands(plan, folder)),
    ]
    return "\n".join(lines) + "\n"


def refusal(plan: Plan) -> list[str]:
    """Why there is nothing to submit yet; `facsimile compile` writes another script once the spec says more."""
    told = f"{plan.name} is not ready: {', '.join(not_ready(plan))}. Mend the spec, then run: facsimile compile"
    return [f"echo {shlex.quote(told)} >&2", "exit 2"]


def commands(plan: Plan, folder: str) -> list[str]:
    """All stages that can run, by the last ones; those that cannot are told."""
    targets = [f"{folder}/dvc.yaml:{dvc_stage(plan.name, stage)}" for stage in last_stages(plan)]
    told = f"not run: {', '.join(refusals(plan))}, which lacks {', '.join(wanting(plan))}"
    return [
        'cd "${FACSIMILE_PROJECT:-$SLURM_SUBMIT_DIR}"',
        'export FACSIMILE_MIRRORS="${FACSIMILE_MIRRORS:-}" FACSIMILE_WORKERS="${SLURM_CPUS_PER_TASK:-1}"',
        "facsimile compile --check",
        *([f"echo {shlex.quote(told)} >&2"] if refusals(plan) else []),
        "dvc repro \\",
        " \\\n".join(f"  {target}" for target in targets),
    ]


def devices(plan: Plan) -> str:
    """What the stages compute on."""
    if any(isinstance(run.stage, Train) for run in plan.runs.values()):
        return "Devices of training stages: sbatch's options."
    return "It asks for no device: imports and evaluations compute on the host, with the threads that the spec names."


def last_stages(plan: Plan) -> tuple[str, ...]:
    """Of the stages that can run, those that no other such stage reads: DVC runs what they need before them."""
    lacking = refusals(plan)
    able = [run for run in plan.runs.values() if stage_of(run.name) not in lacking]
    read = {stage_of(need) for run in able for need in run.needs}
    return tuple(dict.fromkeys(stage for run in able if (stage := stage_of(run.name)) not in read))


def most_ranks(plan: Plan) -> int:
    """The largest world size of a training stage."""
    return max((run.layout.world for run in plan.runs.values() if run.layout is not None), default=1)


def most_bytes(plan: Plan) -> int:
    """The most memory that one rank needs."""
    return max(run.estimate.memory.total_bytes() or run.estimate.artifact_bytes for run in plan.runs.values())
