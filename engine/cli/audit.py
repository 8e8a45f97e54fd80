"""`facsimile audit`: an artifact re-hashed with its whole lineage; exit 1 and the first broken link if one is off."""

import argparse

from engine.cli.answer import Answer
from engine.cli.names import built_named
from engine.cli.project import placement, project


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("artifact", metavar="ARTIFACT", help="experiment/stage[cell]@output, or a whole run")
    parser.add_argument("--fast", action="store_true", help="compare sizes only, read no file, and say so")


def answer(args: argparse.Namespace) -> Answer:
    from engine.artifacts.store import Store
    from engine.report.audit import audit

    here = project(args)
    place = placement(here.root)
    store = Store(place.artifacts)
    run, output = built_named(args.artifact, here, store)
    report = audit(store, place.sources, run, output, fast=args.fast)
    return Answer(report.text().replace(f"{here.root}/", ""), report.data(), report.passed)
