"""`facsimile bisect A B`: the first step, then the first tensor, at which two training runs differ."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from engine.artifacts.manifest import MANIFEST
from engine.cli.answer import Answer
from engine.cli.names import built_named
from engine.cli.project import Project, placement, project
from engine.spec.errors import ArtifactError

if TYPE_CHECKING:  # importing it takes longer than the help of a verb may
    from engine.report.bisect import Parting, Side

EPILOG = "A and B: a finished training run, experiment/stage[cell], or the folder of one"
SHOWN = 5


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("a", metavar="A")
    parser.add_argument("b", metavar="B")


def answer(args: argparse.Namespace) -> Answer:
    from engine.report.bisect import bisect

    here = project(args)
    a, b = side_named(args.a, here), side_named(args.b, here)
    found = bisect(a, b)
    data = {"a": a.name, "b": b.name, **found.data()}
    return Answer("\n".join([f"{a.name} -> {b.name}", *lines(found)]), data, found.equal)


def side_named(text: str, here: Project) -> "Side":
    """The finished run that a name or a folder means; ArtifactError when it is not built."""
    from engine.artifacts.store import Store
    from engine.report.bisect import side

    folder = Path(text)
    if not (folder / MANIFEST).is_file():
        store = Store(placement(here.root).artifacts)
        name, _ = built_named(text, here, store)
        folder = store.folder(name)
        if store.manifest(name) is None:
            raise ArtifactError(f"{name} is not built; build it, or name the folder of a finished run")
    return side(text, folder)


def lines(found: "Parting") -> list[str]:
    """What people read."""
    from engine.report.bisect import CAUSES

    compared = f"{found.steps} steps and {len(found.checkpoints)} checkpoints compared"
    if found.equal:
        return [f"equal: {compared}"]
    told = []
    if found.step:
        left, right = found.values
        told += [f"first differing step: {found.step}, {found.field} {left} and {right}", f"  {CAUSES[found.field]}"]
    else:
        told.append("no logged step differs")
    before = "no common checkpoint is equal" if found.last_equal < 0 else f"equal up to checkpoint {found.last_equal}"
    if found.tensors:
        more = f" and {len(found.tensors) - SHOWN} more" if len(found.tensors) > SHOWN else ""
        told.append(f"first differing checkpoint: {found.checkpoint} ({before})")
        told.append(f"  first differing tensor: {found.tensors[0]}")
        told.append(f"  {len(found.tensors)} differ: {', '.join(found.tensors[:SHOWN])}{more}")
    else:
        told.append(f"no common checkpoint differs ({before})")
    return [*told, compared]
