"""`facsimile run`: one stage, in a process whose environment is closed; refuses a recipe that is not the plan's."""

import argparse
import os
import sys
from pathlib import Path

from engine.artifacts.environment import closed_environment
from engine.cli.answer import Answer
from engine.cli.project import placement, project
from engine.compile.plan import Plan
from engine.spec.errors import ArtifactError

MARK = "FACSIMILE_CLOSED"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("experiment")
    parser.add_argument("stage")
    parser.add_argument("--recipe", required=True, help="the digest that the compiled plan gives this stage")
    parser.add_argument("--artifacts", type=Path, help="build here instead of data/artifacts (no results are written)")


def answer(args: argparse.Namespace) -> Answer:
    here = project(args)
    plan = here.plan(args.experiment)
    check_recipe(plan, args.stage, args.recipe)
    if os.environ.get(MARK) != "1":
        reexecute(plan)
    from engine.run import run_all

    place = placement(here.root, args.artifacts and args.artifacts.resolve())
    outcomes = run_all(plan, args.stage, place, tuple(sys.argv), lambda text: print(text, file=sys.stderr))
    rows = [{"run": o.run, "status": o.status, "content": o.manifest.content} for o in outcomes]
    return Answer("\n".join(f"{row['run']}: {row['status']}, content {row['content'][:12]}" for row in rows), rows)


def check_recipe(plan: Plan, stage: str, recipe: str) -> None:
    """ArtifactError when the command was compiled from another spec or by other code."""
    fresh = plan.recipe(stage)
    if fresh != recipe:
        raise ArtifactError(
            f"{plan.name}/{stage}: dvc.yaml says recipe {recipe[:12]}, the spec and the engine as they are now "
            f"compile to {fresh[:12]}; run: facsimile compile (why: facsimile diff HEAD:{plan.name} {plan.name})"
        )


def reexecute(plan: Plan) -> None:
    """Starts this very command again with the closed environment; does not return."""
    closed = closed_environment(plan.experiment.numerics, os.environ)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, "-m", "engine", *sys.argv[1:]], {**closed, MARK: "1"})
