"""`facsimile claims`: the verdicts of all experiments, by class; exit 1 when an invariant of the engine fails."""

import argparse

from engine.artifacts.disk import write_whole
from engine.cli.answer import Answer
from engine.cli.project import project


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paper", metavar="PAPER", nargs="?", help="only the experiments of this paper")
    page = parser.add_mutually_exclusive_group()
    page.add_argument(
        "--write", action="store_true", help="write REPRODUCE.md and its plots from data/results and specs/"
    )
    page.add_argument("--check", action="store_true", help="exit 1 when REPRODUCE.md or a plot is not current")


def answer(args: argparse.Namespace) -> Answer:
    from engine.report.claims import claims_table, collect
    from engine.report.reproduce import PAGE, pages, stale

    here = project(args)
    if args.check or args.write:
        wanted = pages(here.root)
        old = stale(here.root, wanted)
        if args.check:
            return Answer(_told(PAGE, old), {"current": not old}, not old)
        for path in old:
            if path in wanted:
                (here.root / path).parent.mkdir(parents=True, exist_ok=True)
                write_whole(here.root / path, wanted[path])
            else:
                (here.root / path).unlink()
        return Answer(f"wrote {', '.join(old)}" if old else f"{PAGE} was current", {"written": bool(old)})
    rows = collect(here.root, args.paper)
    kept = not any(row.verdict.class_ == "invariant" and row.verdict.verdict == "fails" for row in rows)
    return Answer(claims_table(rows), [row.data() for row in rows], kept)


def _told(page: str, old: list[str]) -> str:
    if not old:
        return f"{page} is current"
    return f"{' and '.join(old)} {'is' if len(old) == 1 else 'are'} not current; run: facsimile claims --write"
