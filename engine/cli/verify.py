"""`facsimile verify`: rebuild in a scratch folder and compare with the recorded digests, stage by stage."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from engine.artifacts.recorded import load_recorded
from engine.cli.answer import Answer, table
from engine.cli.names import Artifact, run_named
from engine.cli.project import Project, placement, project
from engine.cli.run import close_environment, safe_path
from engine.compile.plan import Plan
from engine.compile.resolve import stage_of
from engine.spec.errors import ArtifactError, SpecError
from engine.train.spec import TrainPlan

STOPS = (signal.SIGINT, signal.SIGTERM)
POLL_SECONDS = 0.5
PATIENCE_SECONDS = 20  # for an interrupted stage to end its own processes


def arguments(parser: argparse.ArgumentParser) -> None:
    text = "default: all with recorded digests; with --interval or --sample a training RUN, experiment/stage[cell]"
    parser.add_argument("experiment", metavar="EXPERIMENT", nargs="?", help=text)
    text = "step-A..step-B: train a finished run again from one of its checkpoints to another, and compare"
    parser.add_argument("--interval", metavar="A..B", help=text)
    text = "as many intervals between neighbouring checkpoints, drawn by the digest of the run"
    parser.add_argument("--sample", type=int, metavar="N", help=text)
    text = "with --interval or --sample: take the rows that are built, once hashed, and do not build them again"
    parser.add_argument("--built-rows", action="store_true", help=text)
    parser.add_argument("--stage", metavar="STAGE", help="rebuild and compare only what this stage stands on")
    parser.add_argument("--built", action="store_true", help="compare what is built in data/artifacts; rebuild nothing")
    parser.add_argument("--keep", action="store_true", help="keep the scratch folder and print where it is")


def answer(args: argparse.Namespace) -> Answer:
    here = project(args)
    if args.interval or args.sample is not None:
        return pieces(here, args)
    plans = [here.plan(args.experiment)] if args.experiment else _recorded_plans(here)
    answers = [_verify(here, plan, args) for plan in plans]
    return Answer(
        "\n\n".join(one.text for one in answers),
        [row for one in answers for row in one.data],
        all(a.passed for a in answers),
    )


def pieces(here: Project, args: argparse.Namespace) -> Answer:
    """Some intervals of a finished training run, each trained again on rows that were built again."""
    found = training_run(args.experiment, here)
    plan, planned = found.plan, found.run
    close_environment(plan, stage_of(planned.name))
    from engine.artifacts.store import Store
    from engine.report.interval import drawn, interval_named, rebuilt

    stage = planned.stage
    assert isinstance(stage, TrainPlan)
    built = Store(placement(here.root).artifacts)
    manifest = built.manifest(found.name)
    if manifest is None:
        raise ArtifactError(f"{found.name} is not built; get its checkpoints first (dvc checkout, or dvc pull)")
    if args.sample is not None and args.sample < 1:
        raise SpecError(f"--sample {args.sample}: write a whole number from 1")
    intervals = [interval_named(args.interval, stage)] if args.interval else drawn(manifest, stage, args.sample)
    with scratch_folder(here.root / "data", args.keep) as scratch:
        rows = built
        if not args.built_rows:
            rebuild(here, plan, scratch, stage.rows.parts.stage)
            rows = Store(scratch)
        place = replace(placement(here.root), artifacts=scratch)
        done = [rebuilt(plan, planned, built, rows, interval, place) for interval in intervals]
    lines = []
    for piece in done:
        where = f"step {piece.differing_step}" if piece.differing_step else ", ".join(piece.differing_tensors[:1])
        verdict = "equal" if piece.equal else f"different, first at {where}"
        lines.append((f"step-{piece.begin}..step-{piece.end}", str(piece.steps), verdict))
    summary = f"{found.name}: {sum(piece.equal for piece in done)} of {len(done)} intervals equal"
    text = f"{table(('interval', 'steps', 'compared with the run'), lines)}\n{summary}"
    return Answer(text, [piece.data() for piece in done], all(piece.equal for piece in done))


def training_run(text: str | None, here: Project) -> Artifact:
    """The training run that is named; SpecError when it is none."""
    if text is None:
        raise SpecError("--interval and --sample want the RUN: facsimile verify experiment/stage --interval A..B")
    found = run_named(text, here)
    if not isinstance(found.run.stage, TrainPlan):
        trains = [run.name for run in found.plan.runs.values() if isinstance(run.stage, TrainPlan)]
        raise SpecError(f"{found.name} is no training run; {found.plan.name} has {', '.join(trains) or 'none'}")
    return found


def _recorded_plans(here: Project) -> list[Plan]:
    found = [plan for plan in here.plans() if _record_file(plan).exists()]
    if not found:
        raise SpecError("no experiment has recorded digests; build one and run: facsimile record EXPERIMENT")
    return found


def _record_file(plan: Plan) -> Path:
    from engine.report.verify import digests_file

    return digests_file(plan)


def _verify(here: Project, plan: Plan, args: argparse.Namespace) -> Answer:
    if args.stage:
        plan.cells(args.stage)
    if args.built:
        return compare_built(plan, placement(here.root).artifacts, args.stage)
    record = _record_file(plan)
    if not record.exists():
        name = record.relative_to(here.root)
        remedy = f"build it, then run: facsimile record {plan.name}"
        raise SpecError(f"no digests are recorded for {plan.name} ({name}); {remedy}")
    with scratch_folder(here.root / "data", args.keep) as scratch:
        rebuild(here, plan, scratch, args.stage)
        return compare_built(plan, scratch, args.stage)


@contextmanager
def scratch_folder(parent: Path, keep: bool) -> Iterator[Path]:
    """A folder that is removed however the block ends, by Ctrl-C or SIGTERM too; with `keep` it is told and stays."""
    parent.mkdir(exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".verify-", dir=parent))
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield scratch
    finally:
        signal.signal(signal.SIGTERM, before)
        if keep:
            print(f"kept: {scratch}", file=sys.stderr)
        else:
            shutil.rmtree(scratch, ignore_errors=True)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def rebuild(here: Project, plan: Plan, scratch: Path, last: str | None) -> None:
    """Every stage up to `last`, each in a process of its own as DVC would run it; what they say is seen on stderr."""
    stages = needed(plan, last)
    for number, stage in enumerate(stages, start=1):
        print(f"[{number} of {len(stages)}] {plan.name}/{stage}", file=sys.stderr, flush=True)
        words = ["run", plan.name, stage, "--recipe", plan.recipe(stage), "--artifacts", str(scratch)]
        command = [sys.executable, *safe_path(here.root), "-m", "engine", *words, "--project", str(here.root)]
        if finished(command, here.root):
            raise ArtifactError(f"{plan.name}/{stage} could not be rebuilt; its messages stand above")


def finished(command: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> int:
    """The exit code of a command in a process group of its own, which is interrupted with us and then waited for.

    It must have ended before its folder is removed, or it would go on writing there. So an interruption is only noted
    when it comes: raised between the start of the process and its first name here, it would leave the process alone.
    """
    noted: list[int] = []
    heard = [number for number in STOPS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, lambda number, _frame: noted.append(number)) for number in heard}
    try:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, process_group=0
        )
        while process.poll() is None and not noted:
            with suppress(subprocess.TimeoutExpired):
                process.wait(POLL_SECONDS)
        if noted:
            end(process)
            raise KeyboardInterrupt
        return process.returncode
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end(process: "subprocess.Popen[bytes]") -> None:
    """Interrupts a process group, gives it time to end its own processes, then kills what is left."""
    for number, patience in ((signal.SIGINT, PATIENCE_SECONDS), (signal.SIGKILL, None)):
        if process.poll() is None:
            os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience)


def needed(plan: Plan, last: str | None) -> list[str]:
    """The stages that `last` stands on, itself included, in order; all of them without a `last`."""
    stages = list(plan.stages())
    if last is None:
        return stages
    wanted = {last}
    for stage in reversed(stages):
        if stage in wanted:
            wanted |= {need.partition("[")[0] for cell in plan.cells(stage) for need in cell.needs}
    return [stage for stage in stages if stage in wanted]


def compare_built(plan: Plan, artifacts: Path, last: str | None) -> Answer:
    """The table of outcomes for what lies in `artifacts`."""
    from engine.artifacts.store import Store
    from engine.report.verify import compared

    stages = needed(plan, last)
    rows = [
        row
        for row in compared(plan, Store(artifacts), load_recorded(_record_file(plan)))
        if row.run.partition("/")[2].partition("[")[0] in stages
    ]
    lines = []
    for row in rows:
        status = row.comparison.status
        verdict = status if status == "equal" else f"{status}: {row.comparison.detail}"
        for index, (output, digest) in enumerate(row.digests.items()):
            lines.append((row.run if index == 0 else "", output, digest[:16], verdict if index == 0 else ""))
        if not row.digests:
            lines.append((row.run, "", "", verdict))
    passed = all(row.passed for row in rows)
    summary = f"{plan.name}: {sum(row.passed for row in rows)} of {len(rows)} stages as recorded"
    data = [
        {
            "run": row.run,
            "status": row.comparison.status,
            "detail": row.comparison.detail,
            "difference": row.comparison.difference,
            "outputs": dict(row.digests),
        }
        for row in rows
    ]
    return Answer(
        f"{table(('stage', 'artifact', 'digest', 'compared with the record'), lines)}\n{summary}", data, passed
    )
