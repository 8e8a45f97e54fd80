"""`facsimile lineage`: what an artifact was made from, as a tree, JSON or one HTML page."""

import argparse
from pathlib import Path

from engine.cli.answer import Answer
from engine.cli.names import built_named
from engine.cli.project import placement, project
from engine.spec.errors import SpecError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("artifact", metavar="ARTIFACT", help="experiment/stage or experiment/stage@output")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write one self-contained page")


def answer(args: argparse.Namespace) -> Answer:
    from engine.artifacts.lineage import graph
    from engine.artifacts.store import Store
    from engine.report.lineage import render_html, render_json, render_text

    here = project(args)
    store = Store(placement(here.root).artifacts)
    found = graph(store, built_named(args.artifact, here, store)[0])
    if args.html:
        if not args.html.parent.is_dir():
            raise SpecError(f"--html {args.html}: there is no folder {args.html.parent}")
        args.html.write_text(render_html(found), encoding="utf-8")
        return Answer(f"wrote {args.html}", {"file": str(args.html)})
    return Answer(render_text(found), render_json(found))
