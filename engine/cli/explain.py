"""`facsimile explain`: which file and line set a value, and what it overrode."""

import argparse

from engine.cli.answer import Answer
from engine.cli.project import project


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("experiment")
    parser.add_argument("key", help="dotted path in the spec, for instance stages.stage1.optimizer.lr.peak")


def answer(args: argparse.Namespace) -> Answer:
    from engine.experiment import Experiment
    from engine.spec.explain import explain
    from engine.spec.load import load

    here = project(args)
    found = explain(load(here.spec_file(args.experiment), Experiment, here.specs), args.key)
    return Answer(found.text(), found.data())
