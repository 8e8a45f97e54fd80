"""The closed environment that training demands, and one DeepSpeed process that has run many toy cells."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.artifacts.environment import closed_environment
from engine.kernels.spec import ChunkedLoss, Kernels
from engine.spec.canonical import pretty
from engine.spec.layout import Layout
from engine.spec.numerics import Numerics
from engine.spec.ref import Ref
from engine.train.job import Job
from engine.train.launch import check_ended, ranks
from engine.train.spec import FromCheckpoint, TrainPlan
from tests.train import toy


@pytest.fixture(scope="session")
def closed() -> Iterator[None]:
    """Processes that are started inherit a closed environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in closed_environment(Numerics(), os.environ).items():
            patch.setenv(name, value)
        yield


NATIVE = Kernels(
    norm="native", rotary="native", gate="native", adamw="native", linear_cross_entropy=ChunkedLoss(kind="chunked")
)


@dataclass(frozen=True)
class Cells:
    """Finished toy runs: the draft of each by its name."""

    root: Path

    def digests(self, name: str) -> dict[str, str]:
        return toy.digests(self.root / name)


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory, closed: None) -> Cells:  # noqa: ARG001 (an effect)
    """All cells at world size 1, run one after another by one rank."""
    root = tmp_path_factory.mktemp("cells")
    toy.write_rows(root / "pack")
    straight, resumed = toy.plan(), {step: toy.plan(start=f"straight@step-{step}") for step in (2, 4)}
    mamba2 = toy.plan(model=toy.MAMBA2).replace(kernels=toy.MAMBA2_KERNELS)
    resume = FromCheckpoint(kind="checkpoint", checkpoint=Ref("mamba2@step-4"))
    run_jobs(
        root,
        {
            "straight": (straight, ""),
            "again": (straight, ""),
            "native": (straight.replace(kernels=NATIVE), ""),
            "zero1": (toy.plan(Layout(zero=1)), ""),
            "zero2": (toy.plan(Layout(zero=2)), ""),
            **{f"resumed{step}": (plan, f"straight/step-{step}") for step, plan in resumed.items()},
            "alibi_gpt": (toy.plan(model=toy.ALIBI_GPT), ""),
            "alibi_gpt-zero2-resumed": (
                toy.plan(Layout(zero=2), start="alibi_gpt@step-4", model=toy.ALIBI_GPT),
                "alibi_gpt/step-4",
            ),
            "mamba2": (mamba2, ""),
            "mamba2-resumed": (mamba2.replace(start=resume), "mamba2/step-4"),
            "zero2-resumed": (toy.plan(Layout(zero=2), start="straight@step-4"), "straight/step-4"),
        },
    )
    return Cells(root)


def run_jobs(root: Path, runs: dict[str, tuple[TrainPlan, str]]) -> None:
    """Runs plans in one set of ranks; each has a name and the folder of the checkpoint that it starts from."""
    paths = []
    for name, (plan, checkpoint) in runs.items():
        out = root / name
        out.mkdir()
        start = str(root / checkpoint) if checkpoint else ""
        assert plan.layout is not None
        rows, where = str(root / "pack" / "rows"), plan.layout
        job = Job(stage=plan, layout=where, rows=rows, checkpoint=start, written=False, out=str(out))
        paths.append(root / f"{name}.json")
        paths[-1].write_text(pretty(job))
    world = where.world
    with ranks(tuple(paths), world, root / "worker.log", root) as process:
        check_ended(process, root / "none", root / "worker.log")
