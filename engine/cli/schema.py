"""`facsimile schema`: JSON Schema of specs; with `# yaml-language-server: $schema=...` editors complete and check."""

import argparse
import json

from engine.cli.answer import Answer


def arguments(parser: argparse.ArgumentParser) -> None:
    del parser


def answer(args: argparse.Namespace) -> Answer:
    from engine.experiment import Experiment
    from engine.spec.schema import json_schema

    del args
    schema = json_schema(Experiment)
    return Answer(json.dumps(schema, indent=1), schema)
