"""`facsimile croissant`: a corpus described for publishing, as JSON-LD that Croissant's tools read."""

import argparse
import json
import re
from pathlib import Path

from engine.cli.answer import Answer
from engine.cli.names import built_named
from engine.cli.project import placement, project
from engine.spec.errors import ArtifactError, SpecError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("output", metavar="OUTPUT", help="experiment/stage@documents, @rows, or another table")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write it there; paths of files are relative to it")
    parser.add_argument("--date", metavar="DAY", help="YYYY-MM-DD of publication (default: when it was built)")
    parser.add_argument("--version", default="", metavar="N.N.N", help="default: 1.0.0+ and digits of its content")
    parser.add_argument("--url", default="", help="where the corpus can be read about")
    parser.add_argument("--creator", default="", metavar="NAME", help="who made it")


def answer(args: argparse.Namespace) -> Answer:
    from engine.artifacts.observation import read_observation
    from engine.artifacts.store import Store
    from engine.report.croissant import Stated, croissant

    here = project(args)
    store = Store(placement(here.root).artifacts)
    run, output = built_named(args.output, here, store)
    if not output:
        raise SpecError(f"{args.output} names no output; write {args.output}@documents, for instance")
    if store.manifest(run) is None:
        raise ArtifactError(f"{run} is not built; build it with `dvc repro {run.replace('/', '-')}`")
    built = read_observation(store.observation(run))
    day = args.date or (built.started[:10] if built else "")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", day):
        raise SpecError(f"--date {day!r}: write the day of publication as YYYY-MM-DD")
    if args.out and not args.out.parent.is_dir():
        raise SpecError(f"--out {args.out}: there is no folder {args.out.parent}")
    beside = args.out.parent.resolve() if args.out else here.root
    data = croissant(store, run, output, beside, Stated(day, args.version, args.url, args.creator))
    text = json.dumps(data, indent=1, ensure_ascii=False)
    if not args.out:
        return Answer(text, data)
    args.out.write_text(text + "\n", encoding="utf-8")
    left_out = [name for name, value in (("--url", args.url), ("--creator", args.creator)) if not value]
    note = f"; it does not say what {' and '.join(left_out)} would" if left_out else ""
    return Answer(f"wrote {args.out}{note}", {"file": str(args.out), "not_stated": left_out})
