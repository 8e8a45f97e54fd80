"""`facsimile compile`: every spec to its golden plan, and all of them to dvc.yaml."""

import argparse
from pathlib import Path

from engine.artifacts.disk import write_whole
from engine.cli.answer import Answer
from engine.cli.project import Project, project
from engine.compile.dvc import HEAD


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 when a generated file is not current"
    )


def answer(args: argparse.Namespace) -> Answer:
    here = project(args)
    files = here.generated(here.plans())
    stale = [path for path, text in files.items() if not path.is_file() or path.read_bytes() != text.encode("utf-8")]
    orphans = [path for path in generated_before(here) if path not in files]
    names, gone = ([str(path.relative_to(here.root)) for path in paths] for paths in (stale, orphans))
    data = {"checked": len(files), "stale" if args.check else "written": names, "orphaned": gone}
    if args.check:
        lines = [*(f"not current: {name}" for name in names), *(f"orphaned, no spec makes it: {name}" for name in gone)]
        end = "run: facsimile compile" if lines else f"{len(files)} generated files are current"
        return Answer("\n".join([*lines, end]), data, passed=not lines)
    for path in stale:
        write_whole(path, files[path])
    for path in orphans:
        path.unlink()
    lines = [*(f"wrote {name}" for name in names), *(f"removed {name}, no spec makes it" for name in gone)]
    return Answer("\n".join([*lines, f"{len(files)} generated files are current"]), data)


def generated_before(here: Project) -> list[Path]:
    """Files below specs/ that an earlier compile wrote: golden plans, and dvc.yaml files that begin as ours do."""
    head = HEAD.encode("utf-8")
    pipelines = [path for path in here.specs.glob("*/dvc.yaml") if path.read_bytes().startswith(head)]
    return sorted([*here.specs.glob("*/*.plan.json"), *pipelines])
