"""`facsimile record`: the digests just built become the recorded ones, for the toolchain that built them."""

import argparse

from engine.artifacts.recorded import load_recorded, recorded_text
from engine.artifacts.store import Store
from engine.cli.answer import Answer
from engine.cli.project import placement, project


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("experiment")


def answer(args: argparse.Namespace) -> Answer:
    from engine.report.verify import digests_file, recorded_now

    here = project(args)
    plan = here.plan(args.experiment)
    path = digests_file(plan)
    recorded = recorded_now(plan, Store(placement(here.root).artifacts), load_recorded(path))
    path.write_text(recorded_text(recorded))
    name = str(path.relative_to(here.root))
    chains = list(recorded.trained)
    text = f"wrote {name}: {len(recorded.data)} data runs, trained runs on {len(chains)} toolchains"
    return Answer(text, {"file": name, "data": sorted(recorded.data), "toolchains": chains})
