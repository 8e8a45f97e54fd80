"""`facsimile run`: one stage, in a process whose environment is closed; refuses a recipe that is not the plan's."""

import argparse
import os
import sys
from pathlib import Path

import engine
from engine.artifacts.environment import closed_environment, not_closed
from engine.cli.answer import Answer
from engine.cli.project import placement, project
from engine.compile.plan import Plan
from engine.spec.errors import ArtifactError, SpecError

MARK = "FACSIMILE_CLOSED"
SHOWN_DIGITS = 12  # of a digest, in tables and messages; as many are enough to name a recipe by hand


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("experiment", metavar="EXPERIMENT", help="the name or the path of a spec")
    parser.add_argument("stage", metavar="STAGE", help="a stage; all cells of one with a matrix")
    parser.add_argument("--recipe", metavar="DIGEST", help="the recipe that the compiled plan gives this stage")
    text = "build here instead of data/artifacts (no results are written)"
    parser.add_argument("--artifacts", type=Path, metavar="DIR", help=text)


def answer(args: argparse.Namespace) -> Answer:
    here = project(args)
    plan = here.plan(args.experiment)
    check_recipe(plan, args.stage, args.recipe)
    place = placement(here.root, args.artifacts and args.artifacts.resolve())
    close_environment(plan, args.stage)
    from engine.run import run_all

    outcomes = run_all(plan, args.stage, place, tuple(sys.argv), lambda text: print(text, file=sys.stderr))
    rows = [{"run": o.run, "status": o.status, "content": o.manifest.content} for o in outcomes]
    lines = [f"{row['run']}: {row['status']}, content {row['content'][:SHOWN_DIGITS]}" for row in rows]
    kept = sum(row["status"] == "kept" for row in rows)
    if kept == len(rows):
        lines.append(f"nothing to do: {plan.name}/{args.stage} is there already, by this recipe")
    elif len(rows) > 1:
        lines.append(f"{len(rows) - kept} cells built, {kept} kept")
    return Answer("\n".join(lines), rows)


def check_recipe(plan: Plan, stage: str, recipe: str | None) -> None:
    """SpecError without a recipe; ArtifactError when the command was compiled from another spec or by other code."""
    fresh = plan.recipe(stage)
    if recipe is None:
        raise SpecError(
            f"--recipe is missing: say which recipe of {plan.name}/{stage} you mean; the plan has "
            f"--recipe {fresh[:SHOWN_DIGITS]} (or let DVC run it: dvc repro {plan.name}-{stage})"
        )
    if fresh != recipe and not (len(recipe) >= SHOWN_DIGITS and fresh.startswith(recipe)):
        raise ArtifactError(
            f"{plan.name}/{stage}: this command is for recipe {recipe[:SHOWN_DIGITS]}, but the spec and the engine as "
            f"they are now compile to {fresh[:SHOWN_DIGITS]}; run: facsimile compile "
            f"(why: facsimile diff HEAD:{plan.name} {plan.name})"
        )


def close_environment(plan: Plan, stage: str) -> None:
    """Starts this very command again with the closed environment, unless it runs in one already.

    The mark only ends the circle; a stage that computes believes nothing but the environment itself.
    """
    numerics = plan.experiment.numerics
    odd = not_closed(numerics, os.environ)
    if MARK in os.environ:
        if odd and any(cell.stage.toolchain == "compute" for cell in plan.cells(stage)):
            raise ArtifactError(f"the environment is not closed ({', '.join(odd)}); unset {MARK} and run again")
        return
    closed = closed_environment(numerics, os.environ)
    sys.stdout.flush()
    sys.stderr.flush()
    command = [sys.executable, *safe_path(Path.cwd()), "-m", "engine", *sys.argv[1:]]
    os.execve(sys.executable, command, {**closed, MARK: "1"})


def safe_path(folder: Path) -> list[str]:
    """The flag without which `python -m engine` would take a folder `engine` in somebody's project for this package."""
    checkout = Path(engine.__file__).resolve().parent.parent
    return [] if checkout == folder.resolve() else ["-P"]
