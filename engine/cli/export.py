"""`facsimile export`: a checkpoint as a Hugging Face folder that transformers loads with equal logits."""

import argparse
from pathlib import Path

from engine.artifacts.read import read_tensors
from engine.artifacts.store import Store
from engine.cli.answer import Answer
from engine.cli.names import artifact_named
from engine.cli.project import placement, project
from engine.spec.errors import SpecError
from engine.train.spec import TrainPlan


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="experiment/stage@step-N or experiment/stage@final")
    parser.add_argument("folder", type=Path, help="a folder that does not exist yet")
    parser.add_argument("--format", choices=("hf",), default="hf")


def answer(args: argparse.Namespace) -> Answer:
    from engine.models.huggingface import export_hf
    from engine.run import open_one

    here = project(args)
    found = artifact_named(args.checkpoint, here)
    stage = found.run.stage
    if not isinstance(stage, TrainPlan) or not found.output.startswith("step-"):
        raise SpecError(f"{args.checkpoint} is no checkpoint; write experiment/stage@step-N")
    if args.folder.exists():
        raise SpecError(f"{args.folder} is there already; name a new folder")
    store = Store(placement(here.root).artifacts)
    checkpoint = open_one(found.plan, found.run.name, found.output, store)
    tokenizer_run, _, output = tokenizer_of(found.plan.runs[stage.rows.partition("@")[0]].stage).partition("@")
    tokenizer = open_one(found.plan, tokenizer_run, output, store)
    export_hf(read_tensors(checkpoint.folder, "model"), stage.model, tokenizer.folder, args.folder)
    return Answer(f"wrote {args.folder}", {"folder": str(args.folder), "checkpoint": checkpoint.digest})


def tokenizer_of(pack: object) -> str:
    """The tokenizer that a pack stage names."""
    from engine.data.spec import Pack

    assert isinstance(pack, Pack)
    return str(pack.tokenizer)
