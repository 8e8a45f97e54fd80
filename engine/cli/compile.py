"""`facsimile compile`: every spec to its golden plan, and all of them to dvc.yaml."""

import argparse
from pathlib import Path

from engine.cli.answer import Answer
from engine.cli.project import project


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 when a generated file is not current"
    )


def answer(args: argparse.Namespace) -> Answer:
    here = project(args)
    files = here.generated(here.plans())
    stale = [path for path, text in files.items() if not path.is_file() or path.read_text() != text]
    orphans = [path for path in sorted(here.specs.glob("*/*.plan.json")) if path not in files]
    names = [str(path.relative_to(here.root)) for path in (*stale, *orphans)]
    data = {"checked": len(files), "stale" if args.check else "written": names}
    if args.check:
        text = "".join(f"not current: {name}\n" for name in names) + (
            "run: facsimile compile" if names else "all current"
        )
        return Answer(text, data, passed=not names)
    for path in stale:
        _write(path, files[path])
    for path in orphans:
        path.unlink()
    text = "".join(f"wrote {name}\n" for name in names) + f"{len(files)} generated files are current"
    return Answer(text, data)


def _write(path: Path, text: str) -> None:
    scratch = path.with_name(path.name + ".part")
    scratch.write_text(text)
    scratch.replace(path)
