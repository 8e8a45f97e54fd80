"""`facsimile verify`: rebuild in a scratch folder and compare with the recorded digests, stage by stage."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from engine.artifacts.recorded import load_recorded
from engine.artifacts.store import Store
from engine.cli.answer import Answer, table
from engine.cli.project import Project, placement, project
from engine.compile.plan import Plan
from engine.spec.errors import ArtifactError, SpecError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("experiment", nargs="?", help="default: every experiment that has recorded digests")
    parser.add_argument("--stage", help="rebuild up to this stage only, and compare it")
    parser.add_argument("--built", action="store_true", help="compare what is built in data/artifacts; rebuild nothing")
    parser.add_argument("--keep", action="store_true", help="keep the scratch folder and print where it is")


def answer(args: argparse.Namespace) -> Answer:
    here = project(args)
    plans = [here.plan(args.experiment)] if args.experiment else _recorded_plans(here)
    answers = [_verify(here, plan, args) for plan in plans]
    return Answer(
        "\n\n".join(one.text for one in answers),
        [row for one in answers for row in one.data],
        all(a.passed for a in answers),
    )


def _recorded_plans(here: Project) -> list[Plan]:
    found = [plan for plan in here.plans() if plan.files[0].with_suffix(".digests.json").exists()]
    if not found:
        raise SpecError("no experiment has recorded digests; build one and run: facsimile record EXPERIMENT")
    return found


def _verify(here: Project, plan: Plan, args: argparse.Namespace) -> Answer:
    if args.stage:
        plan.cells(args.stage)
    if args.built:
        return compare_built(plan, placement(here.root).artifacts, args.stage)
    (here.root / "data").mkdir(exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".verify-", dir=here.root / "data"))
    try:
        rebuild(here, plan, scratch, args.stage)
        found = compare_built(plan, scratch, args.stage)
        return Answer(found.text + (f"\nkept: {scratch}" if args.keep else ""), found.data, found.passed)
    finally:
        if not args.keep:
            shutil.rmtree(scratch, ignore_errors=True)


def rebuild(here: Project, plan: Plan, scratch: Path, last: str | None) -> None:
    """Every stage up to `last`, each in a process of its own as DVC would run it."""
    for stage in needed(plan, last):
        words = ["run", plan.name, stage, "--recipe", plan.recipe(stage), "--artifacts", str(scratch)]
        command = [sys.executable, "-P", "-m", "engine", *words, "--project", str(here.root)]
        if subprocess.run(
            command, cwd=here.root, env=dict(os.environ), stdout=subprocess.DEVNULL, check=False
        ).returncode:
            raise ArtifactError(f"{plan.name}/{stage} could not be rebuilt; its messages stand above")


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
    from engine.report.verify import compared, digests_file

    stages = needed(plan, last)
    rows = [
        row
        for row in compared(plan, Store(artifacts), load_recorded(digests_file(plan)))
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
