"""`facsimile record`: the digests just built become the recorded ones, for the toolchain that built them."""

import argparse

from engine.artifacts.disk import write_whole
from engine.artifacts.recorded import load_recorded, recorded_text
from engine.cli.answer import Answer
from engine.cli.project import placement, project


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("experiment", metavar="EXPERIMENT", help="the name or the path of a spec")


def answer(args: argparse.Namespace) -> Answer:
    from engine.artifacts.store import Store
    from engine.report.verify import compared, digests_file, recorded_now

    here = project(args)
    plan = here.plan(args.experiment)
    path = digests_file(plan)
    store, before = Store(placement(here.root).artifacts), load_recorded(path)
    recorded = recorded_now(plan, store, before)
    broken = [row for row in compared(plan, store, before) if row.comparison.status == "different"]
    write_whole(path, recorded_text(recorded))
    name, chains = str(path.relative_to(here.root)), list(recorded.trained)
    lines = [f"changed: {row.run}: {row.comparison.detail}" for row in broken]
    if broken:
        lines.append(f"the same recipe gave other bits than before; git diff {name} shows them")
    computed = sum(len(chain.runs) for chain in recorded.trained.values())
    trained = f"{computed} for {len(chains)} toolchain{'' if len(chains) == 1 else 's'}"
    lines.append(f"wrote {name}: digests of {len(recorded.data)} runs for every machine, of {trained}")
    data = {"file": name, "data": sorted(recorded.data), "toolchains": chains, "changed": [row.run for row in broken]}
    return Answer("\n".join(lines), data)
