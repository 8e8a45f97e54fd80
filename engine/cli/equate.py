"""`facsimile equate`: two versions of the code run the same segments; where all bits are equal, recipes stay."""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.artifacts.disk import write_whole
from engine.cli.answer import Answer, table
from engine.cli.project import Project, placement, project
from engine.cli.verify import scratch_folder
from engine.compile.equivalence import FILE, Equivalence, end_of, equivalences_text, load_equivalences, older_than
from engine.spec.errors import ArtifactError

if TYPE_CHECKING:  # importing them takes longer than the help of a verb may
    from engine.cli.changed import Group
    from engine.cli.proof import Proof
    from engine.cli.version import Version

EPILOG = """OLD and NEW: a git revision, or the folder of a checkout with engine/ and compiled specs/. Without --run,
all runs of experiments with recorded digests are covered whose code changed, by one proof for all of one shape."""
SHOWN_DIGITS = 12
HEADER = ("run", "kind", "covers", "old code", "new code", "verdict")
EQUAL = ("equal", "known")


@dataclass(frozen=True, slots=True)
class Row:
    """One group of runs, or one run that is refused, and what became of it."""

    run: str
    kind: str
    covers: tuple[str, ...]
    status: str  # equal, known, different, not proven, refused
    detail: str
    old: str = ""
    new: str = ""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("old", metavar="OLD")
    parser.add_argument("new", metavar="NEW")
    text = "prove by this run (experiment/stage[cell]), and only what it covers; may be given again"
    parser.add_argument("--run", action="append", default=[], metavar="RUN", help=text)
    text = "run trainings up to this checkpoint (default: the first that is kept after the start)"
    parser.add_argument("--until", default="", metavar="step-N", help=text)


def answer(args: argparse.Namespace) -> Answer:
    from engine.cli.version import version

    here = project(args)
    load_equivalences(here.specs / FILE)  # a damaged one is told before anything is run
    with scratch_folder(here.root / "data", keep=False) as scratch:
        old, new = (version(text, here.root, scratch / name) for text, name in ((args.old, "old"), (args.new, "new")))
        rows = list(_rows(here, old, new, args, scratch))
    passed = all(row.status in EQUAL for row in rows)
    data = {"old": _data(old), "new": _data(new), "rows": [_row_data(row) for row in rows], "file": f"specs/{FILE}"}
    return Answer("\n".join(_lines(rows)), data, passed)


def _rows(here: Project, old: "Version", new: "Version", args: argparse.Namespace, scratch: Path) -> Iterator[Row]:
    from engine.artifacts.store import Store
    from engine.cli.changed import changed, chosen, named
    from engine.cli.proof import built, span

    asked = {named(run, old.runs, new.runs) for run in args.run}
    recorded = {path.name.removesuffix(".digests.json") for path in here.specs.glob("*/*.digests.json")}
    groups, refused = changed(old.runs, new.runs, asked or recorded)
    if args.run:
        groups, refused = tuple(group for group in groups if set(group.runs) & set(args.run)), ()
    store = Store(placement(here.root).artifacts)
    ready = [tuple(chosen(one, new.runs, args.run, lambda run: built(run, new.runs, store))) for one in groups]
    for run in (run for runs in ready for run in runs):
        span(run, new.runs, args.until)  # a checkpoint that is none is told before anything is run
    for number, (group, runs) in enumerate(zip(groups, ready, strict=True), start=1):
        print(f"[{number} of {len(groups)}] {group.kind}, {_covered(group.runs)}", file=sys.stderr, flush=True)
        yield _proven(here, group, runs, old, new, args.until, scratch)
    yield from (Row(item.run, item.kind, (item.run,), "refused", item.why) for item in refused)


def _proven(
    here: Project, group: "Group", runs: tuple[str, ...], old: "Version", new: "Version", until: str, scratch: Path
) -> Row:
    """Proves a group, and writes it down at once: the next one may take hours."""
    from engine.cli.proof import prove

    known, place = load_equivalences(here.specs / FILE), placement(here.root)
    olds = known.olds(group.shape)
    if group.new in older_than(group.old, olds):
        return _row(group, "", "known", "proven already, the other way round")
    end_of(group.new, {**olds, group.new: olds.get(group.new, frozenset()) | {group.old}})
    if not runs:
        return _row(group, group.runs[0], "not proven", "what it reads is not built; dvc repro builds it")
    try:
        proofs = [prove(run, old, new, until, place, scratch) for run in runs]
    except ArtifactError as error:
        return _row(group, runs[0], "not proven", str(error))
    differences = [f"{one.segment.run}: {text}" for one in proofs for text in one.differences]
    if differences:
        return _row(group, runs[0], "different", "; ".join(differences))
    found = known.adding(_equivalence(group, old, new, proofs))
    write_whole(here.specs / FILE, equivalences_text(found))
    return _row(group, runs[0], "equal", "; ".join(_extent(one) for one in proofs))


def _equivalence(group: "Group", old: "Version", new: "Version", proofs: list["Proof"]) -> Equivalence:
    return Equivalence(
        kind=group.kind,
        shape=group.shape,
        old=group.old,
        new=group.new,
        old_commit=old.commit,
        new_commit=new.commit,
        segments=tuple(one.segment for one in proofs),
        toolchain=proofs[0].toolchain,
        facts=dict(proofs[0].facts),
    )


def _extent(proof: "Proof") -> str:
    outputs, until = len(proof.segment.outputs), proof.segment.until
    return f"{outputs} output{'s' * (outputs != 1)}{f', to {until}' if until else ' and the metrics'}"


def _row(group: "Group", run: str, status: str, detail: str) -> Row:
    return Row(run, group.kind, group.runs, status, detail, group.old, group.new)


def _covered(runs: tuple[str, ...]) -> str:
    return runs[0] + (f" and {len(runs) - 1} more" if len(runs) > 1 else "")


def _lines(rows: list[Row]) -> list[str]:
    if not rows:
        return ["no run whose digests are recorded has other code in the two versions; there is nothing to prove"]
    lines = [
        (row.run, row.kind, _covered(row.covers), row.old[:SHOWN_DIGITS], row.new[:SHOWN_DIGITS], _verdict(row))
        for row in rows
    ]
    equal = sum(row.status in EQUAL for row in rows)
    end = [f"{equal} of {len(rows)} proven equal"]
    if any(row.status == "equal" for row in rows):
        end.append(f"wrote specs/{FILE}; run: facsimile compile")
    return [table(HEADER, lines), *end]


def _verdict(row: Row) -> str:
    return f"{row.status}: {row.detail}"


def _row_data(row: Row) -> dict[str, Any]:
    return {
        "run": row.run,
        "kind": row.kind,
        "covers": list(row.covers),
        "old": row.old,
        "new": row.new,
        "status": row.status,
        "detail": row.detail,
    }


def _data(one: "Version") -> dict[str, str]:
    return {"version": one.name, "commit": one.commit}
