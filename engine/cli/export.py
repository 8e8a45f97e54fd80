"""`facsimile export`: a checkpoint as a Hugging Face folder that transformers loads with equal logits."""

import argparse
import shutil
from pathlib import Path

from engine.cli.answer import Answer
from engine.cli.names import Artifact, artifact_named
from engine.cli.project import placement, project
from engine.spec.errors import SpecError
from engine.train.spec import TrainPlan


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="experiment/stage@step-N or experiment/stage@final")
    parser.add_argument("folder", type=Path, metavar="DIR", help="a folder that does not exist yet")
    parser.add_argument("--format", choices=("hf",), default="hf", help="hf: config.json, safetensors, the tokenizer")


def answer(args: argparse.Namespace) -> Answer:
    from engine.artifacts.lineage import graph
    from engine.artifacts.read import Inputs, read_tensors
    from engine.artifacts.store import Store
    from engine.data.tokenizer import read_info
    from engine.report.card import card
    from engine.run import check_inputs, open_one

    here = project(args)
    found = artifact_named(args.checkpoint, here)
    stage = found.run.stage
    if not isinstance(stage, TrainPlan) or not found.output.startswith("step-"):
        raise SpecError(f"{args.checkpoint} is no checkpoint; {checkpoints(found)}")
    if args.folder.exists() or not args.folder.parent.is_dir():
        state = "is there already" if args.folder.exists() else f"cannot be made: there is no {args.folder.parent}"
        raise SpecError(f"{args.folder} {state}; name a new folder")
    store = Store(placement(here.root).artifacts)
    checkpoint = open_one(found.plan, found.run.name, found.output, store)
    tokenizer_run, _, output = tokenizer_of(found.plan.runs[stage.rows.partition("@")[0]].stage).partition("@")
    tokenizer = open_one(found.plan, tokenizer_run, output, store)
    check_inputs(store, Inputs({item.ref: (item,) for item in (checkpoint, tokenizer)}))
    from engine.models.huggingface import export_hf  # torch: only now that there is something to write

    scratch = args.folder.with_name(f".{args.folder.name}.part")
    shutil.rmtree(scratch, ignore_errors=True)
    export_hf(read_tensors(checkpoint.folder, "model"), stage.model, tokenizer.folder, scratch)
    readme = card(checkpoint, stage, read_info(tokenizer.folder), graph(store, found.name))
    (scratch / "README.md").write_text(readme, encoding="utf-8")
    scratch.rename(args.folder)
    text = f"wrote {args.folder} from {found.name}@{found.output}, content {checkpoint.digest[:12]}"
    return Answer(text, {"folder": str(args.folder), "checkpoint": checkpoint.digest})


def checkpoints(found: Artifact) -> str:
    """What to name instead."""
    trains = [found.run] if isinstance(found.run.stage, TrainPlan) else found.plan.runs.values()
    names = [
        f"{found.plan.name}/{run.name}@step-N, where N is one of {', '.join(map(str, run.stage.kept_steps()))}"
        for run in trains
        if isinstance(run.stage, TrainPlan)
    ]
    return f"write {' or '.join(names)}" if names else f"{found.plan.name} trains nothing"


def tokenizer_of(pack: object) -> str:
    """The tokenizer that a pack stage names."""
    from engine.data.spec import Pack

    assert isinstance(pack, Pack)
    return str(pack.tokenizer)
