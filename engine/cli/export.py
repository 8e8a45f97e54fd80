"""`facsimile export`: a checkpoint as a folder for transformers with equal logits, or with 1-bit matrices packed."""

import argparse
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.answer import Answer
from engine.cli.names import Artifact, artifact_named
from engine.cli.project import placement, project
from engine.data.spec import Chunks, FimPlan, Pack
from engine.models.pretrained.spec import Import, PublishedTokenizer
from engine.models.spec import Model
from engine.spec.errors import SpecError
from engine.train.spec import TrainPlan

if TYPE_CHECKING:  # importing it takes longer than the help of a verb may
    import numpy as np
    import numpy.typing as npt

    Writer = Callable[[Mapping[str, npt.NDArray[np.float32]], Model, Path | None, Path], None]

FORMATS = "hf: config.json, safetensors, the tokenizer; packed: one bit for each weight of a 1-bit matrix"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT", help="experiment/stage@step-N, @final, or @weights of an import"
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="a folder that does not exist yet")
    parser.add_argument("--format", choices=("hf", "packed"), default="hf", help=FORMATS)


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
    if not isinstance(stage, TrainPlan | Import) or not found.output.startswith(("step-", "weights")):
        raise SpecError(f"{args.checkpoint} is no checkpoint; {checkpoints(found)}")
    if args.folder.exists() or not args.folder.parent.is_dir():
        state = "is there already" if args.folder.exists() else f"cannot be made: there is no {args.folder.parent}"
        raise SpecError(f"{args.folder} {state}; name a new folder")
    store = Store(placement(here.root).artifacts)
    checkpoint = open_one(found.plan, found.run.name, found.output, store)
    named = tokenizer_of(found)
    run, _, output = named.partition("@")
    tokenizer = open_one(found.plan, run, output, store) if named else None
    check_inputs(store, Inputs({item.ref: (item,) for item in (checkpoint, tokenizer) if item is not None}))
    write = writer(args.format)
    scratch = args.folder.with_name(f".{args.folder.name}.part")
    shutil.rmtree(scratch, ignore_errors=True)
    folder = tokenizer.folder if tokenizer else None
    write(read_tensors(checkpoint.folder, "model"), stage.model, folder, scratch)
    readme = card(checkpoint, stage, read_info(folder) if folder else None, graph(store, found.name))
    (scratch / "README.md").write_text(readme, encoding="utf-8")
    scratch.rename(args.folder)
    text = f"wrote {args.folder} from {found.name}@{found.output}, content {checkpoint.digest[:12]}"
    return Answer(text, {"folder": str(args.folder), "checkpoint": checkpoint.digest})


def writer(form: str) -> "Writer":
    """What writes a folder of this format; torch is imported only now that there is something to write."""
    if form == "packed":
        from engine.models.packed import write_packed

        return write_packed
    from engine.models.huggingface import export_hf

    return export_hf


def checkpoints(found: Artifact) -> str:
    """What to name instead."""
    here = [found.run] if isinstance(found.run.stage, TrainPlan | Import) else found.plan.runs.values()
    names = []
    for run in here:
        match run.stage:
            case TrainPlan():
                steps = ", ".join(map(str, run.stage.kept_steps()))
                names.append(f"{found.plan.name}/{run.name}@step-N, where N is one of {steps}")
            case Import():
                names.append(f"{found.plan.name}/{run.name}@weights")
    return f"write {' or '.join(names)}" if names else f"{found.plan.name} trains nothing"


def tokenizer_of(found: Artifact) -> str:
    """The reference to the tokenizer that a model was trained with or came with; empty where it came with none."""
    match found.run.stage:
        case TrainPlan(rows=rows):
            pack = found.plan.runs[rows.partition("@")[0]].stage
            while isinstance(pack, Chunks):
                pack = found.plan.runs[pack.rows.partition("@")[0]].stage
            assert isinstance(pack, Pack | FimPlan)
            return str(pack.tokenizer)
        case Import(tokenizer=PublishedTokenizer()):
            return f"{found.run.name}@tokenizer"
        case _:
            return ""
