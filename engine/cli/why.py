"""`facsimile why`: where a document came in, what kept it, what dropped it and by which number."""

import argparse

from engine.cli.answer import Answer
from engine.cli.project import placement, project


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("experiment", metavar="EXPERIMENT", help="the experiment whose stages are walked")
    parser.add_argument("document", metavar="DOCUMENT", help="its id, the first 6 digits or more of it, or its locator")


def answer(args: argparse.Namespace) -> Answer:
    from engine.artifacts.store import Store
    from engine.report.why import DOCUMENTS, why

    here = project(args)
    store = Store(placement(here.root).artifacts)
    plan = here.plan(args.experiment)
    wanted = {*DOCUMENTS, "provenance"}
    planned = [f"{plan.name}/{run.name}" for run in plan.runs.values() if wanted & {*run.stage.outputs()}]
    found = why(store, plan.name, args.document, planned)
    return Answer("\n".join(found.lines()), found.data())
