"""`facsimile compile`: every spec to its golden plan, and all of them to dvc.yaml."""

import argparse
import gc
from collections.abc import Iterable
from pathlib import Path

from engine.artifacts.disk import write_whole
from engine.cli.answer import Answer
from engine.cli.project import Project, project
from engine.compile.dvc import MARK
from engine.compile.launch import SUFFIX
from engine.spec.errors import Problem, SpecError

STAMP = "All that `facsimile compile` makes was current when this was written.\n"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 when a generated file is not current"
    )
    parser.add_argument("--stamp", type=Path, metavar="FILE", help="with --check: write this file when all is current")


def answer(args: argparse.Namespace) -> Answer:
    if args.stamp and not args.check:
        raise SpecError("--stamp goes with --check; add it")
    here = project(args)
    files = generated(here)
    if strange := foreign(files):
        raise SpecError(*strange)
    stale = [path for path, text in files.items() if not path.is_file() or path.read_bytes() != text.encode("utf-8")]
    orphans = [path for path in generated_before(here) if path not in files]
    names, gone = ([str(path.relative_to(here.root)) for path in paths] for paths in (stale, orphans))
    data = {"checked": len(files), "stale" if args.check else "written": names, "orphaned": gone}
    if args.check:
        lines = [*(f"not current: {name}" for name in names), *(f"orphaned, no spec makes it: {name}" for name in gone)]
        end = "run: facsimile compile" if lines else f"{len(files)} generated files are current"
        if args.stamp and not lines:
            args.stamp.parent.mkdir(parents=True, exist_ok=True)
            write_whole(args.stamp, STAMP)
        return Answer("\n".join([*lines, end]), data, passed=not lines)
    for path in stale:
        write_whole(path, files[path])
    for path in orphans:
        path.unlink()
    lines = [*(f"wrote {name}" for name in names), *(f"removed {name}, no spec makes it" for name in gone)]
    return Answer("\n".join([*lines, f"{len(files)} generated files are current"]), data)


def generated(here: Project) -> dict[Path, str]:
    """Every generated file with its text; garbage is not collected meanwhile, which takes 6 % and finds none."""
    collects = gc.isenabled()
    gc.disable()
    try:
        return here.generated(here.plans())
    finally:
        if collects:
            gc.enable()


def foreign(files: Iterable[Path]) -> list[Problem]:
    """Pipelines that somebody wrote where ours would go; an empty file is nobody's."""
    message = (
        "was not written by `facsimile compile`, which keeps its own pipeline here and would overwrite it; "
        "move what is yours to a dvc.yaml in another folder (DVC reads all of them), then run this again"
    )
    pipelines = (path for path in files if path.name == "dvc.yaml" and path.is_file() and path.read_bytes().strip())
    return [Problem(message, file=str(path)) for path in pipelines if not is_ours(path)]


def is_ours(pipeline: Path) -> bool:
    """Whether it begins as every one does that an engine of any version wrote."""
    return pipeline.read_bytes().startswith(MARK.encode("utf-8"))


def generated_before(here: Project) -> list[Path]:
    """Files below specs/ that an earlier compile wrote: golden plans, and pipelines and scripts marked as ours."""
    scripts = [path for path in here.specs.glob(f"*/*{SUFFIX}") if MARK.encode("utf-8") in path.read_bytes()]
    pipelines = [path for path in here.specs.glob("*/dvc.yaml") if is_ours(path)]
    return sorted([*here.specs.glob("*/*.plan.json"), *pipelines, *scripts])
