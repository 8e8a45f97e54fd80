"""`facsimile explain`: which file and line set a value, and what it overrode."""

import argparse
import re
from typing import TYPE_CHECKING

from engine.cli.answer import Answer
from engine.cli.project import project
from engine.spec.errors import SpecError

if TYPE_CHECKING:
    from engine.experiment import Experiment
    from engine.spec.load import Loaded


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("experiment", metavar="EXPERIMENT", help="the name or the path of a spec")
    parser.add_argument("key", metavar="KEY", help="a dotted path, for instance stages.stage1.optimizer.lr.peak")


def answer(args: argparse.Namespace) -> Answer:
    from engine.experiment import Experiment
    from engine.spec.explain import explain
    from engine.spec.load import load

    if not args.key:
        raise SpecError("KEY is empty; write a dotted path, for instance determinism or stages.STAGE.seed")
    here = project(args)
    loaded = load(here.spec_file(args.experiment), Experiment, here.specs)
    try:
        found = explain(loaded, args.key)
    except SpecError as error:
        raise SpecError(f"{error}{_below_stages(loaded, args.key)}") from error
    return Answer(found.text(), found.data())


def _below_stages(loaded: "Loaded[Experiment]", key: str) -> str:
    """A hint for a key that leaves out its first word."""
    first = re.split(r"[.\[]", key)[0]
    known = {re.split(r"\[", name)[0] for name in loaded.value.stages}
    return f"; write stages.{key}" if first in known else ""
