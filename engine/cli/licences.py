"""`facsimile licences`: the licences of everything that a checkpoint saw, in tokens and in documents."""

import argparse

from engine.cli.answer import Answer, table
from engine.cli.names import built_named
from engine.cli.project import placement, project
from engine.spec.errors import ArtifactError, SpecError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="experiment/stage@step-N; without @: the last one")


def answer(args: argparse.Namespace) -> Answer:
    from engine.artifacts.store import Store
    from engine.report.licences import licences
    from engine.report.seen import stage_of_manifest

    here = project(args)
    store = Store(placement(here.root).artifacts)
    run, output = built_named(args.checkpoint, here, store)
    manifest = store.manifest(run)
    if manifest is None:
        raise ArtifactError(f"{run} is not built; build it with `dvc repro {run.replace('/', '-')}`")
    if manifest.stage["kind"] != "train" or output == "log":
        raise SpecError(f"{args.checkpoint} is no checkpoint of a training run; write experiment/stage@step-N")
    step = int(output.removeprefix("step-")) if output else stage_of_manifest(manifest).steps
    found = licences(store, run, manifest, step)
    documents = sum(share.documents for share in found.shares)
    head = f"{found.checkpoint} has seen {found.tokens:,} tokens of {documents:,} documents"
    share = [(name, f"{n:,}", f"{t:,}", f"{t / found.tokens:.1%}") for name, (n, t) in found.by_licence().items()]
    rows = [(one.licence, one.domain, one.source, f"{one.documents:,}", f"{one.tokens:,}") for one in found.shares]
    counts = ("documents", "tokens", "share")
    tables = [table(("licence", *counts), share, counts)] if rows else []
    tables += [table(("licence", "domain", "source", *counts[:2]), rows, counts)] if rows else []
    unseen = [f"  {source.name}  {source.licence}  {source.uri}" for source in found.unseen]
    tables += ["\n".join(["in its lineage, but seen in no token:", *unseen])] if unseen else []
    return Answer("\n\n".join([head, *tables]), found.data())
