"""`facsimile claims`: the verdicts of all experiments, by class; exit 1 when an invariant of the engine fails."""

import argparse

from engine.artifacts.disk import write_whole
from engine.cli.answer import Answer
from engine.cli.project import project


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paper", metavar="PAPER", nargs="?", help="only the experiments of this paper")
    page = parser.add_mutually_exclusive_group()
    page.add_argument("--write", action="store_true", help="write REPRODUCE.md from data/results and specs/")
    page.add_argument("--check", action="store_true", help="exit 1 when REPRODUCE.md is not current")


def answer(args: argparse.Namespace) -> Answer:
    from engine.report.claims import claims_table, collect
    from engine.report.reproduce import render

    here = project(args)
    page = here.root / "REPRODUCE.md"
    if args.check or args.write:
        text = render(here.root)
        current = page.is_file() and page.read_text(encoding="utf-8") == text
        if args.check:
            return Answer(
                "REPRODUCE.md is current" if current else "REPRODUCE.md is not current; run: facsimile claims --write",
                {"current": current},
                current,
            )
        write_whole(page, text)
        return Answer("REPRODUCE.md was current" if current else "wrote REPRODUCE.md", {"written": not current})
    rows = collect(here.root, args.paper)
    kept = not any(row.verdict.class_ == "invariant" and row.verdict.verdict == "fails" for row in rows)
    return Answer(claims_table(rows), [row.data() for row in rows], kept)
